// Package compiletest compiles documents for tests.
package compiletest

import (
	"time"

	"op25b/internal/compile"
	"op25b/internal/policy"
)

// Compile compiles a single switch.
func Compile(b *policy.Bundle, n *compile.Numbers, switchName string, in policy.InForce, now time.Time) (*compile.Compiled, error) {
	c, err := compile.NewCompiler(b, n)
	if err != nil {
		return nil, err
	}
	return c.Compile(switchName, in, now)
}
