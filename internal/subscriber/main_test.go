package subscriber

import (
	"testing"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}
