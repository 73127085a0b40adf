//go:build !linux

package clock

// System returns the default clocks of a Source.
func System() Source { return Source{} }
