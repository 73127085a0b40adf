package compile

import (
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/policy"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}

// Compile does the same as compiletest.Compile, which the tests of this package cannot import.
func Compile(b *policy.Bundle, n *Numbers, switchName string, in policy.InForce, now time.Time) (*Compiled, error) {
	c, err := NewCompiler(b, n)
	if err != nil {
		return nil, err
	}
	return c.Compile(switchName, in, now)
}
