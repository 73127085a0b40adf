package extern

import (
	"testing"

	"op25b/internal/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}
