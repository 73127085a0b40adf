package engine

import (
	"testing"

	"op25b/internal/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}
