//go:build !linux

package portal

// exchange exchanges two folders.
func exchange(a, b string) error { return exchangeInSteps(a, b) }
