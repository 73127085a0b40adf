package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A byteSize is the value of a flag that takes a number of bytes. For example, 2147483648, 2048MiB
// and 2GiB are the same size.
type byteSize int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String formats the size as a whole number in the largest possible unit.
func (s *byteSize) String() string {
	for _, u := range sizeUnits {
		if n := int64(*s); n != 0 && n%u.bytes == 0 {
			return fmt.Sprint(n/u.bytes, u.name)
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Set implements pflag.Value.
func (s *byteSize) Set(text string) error {
	number, unit := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = rest, u.bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("must be a number of bytes, or of KiB, MiB or GiB, such as 2GiB")
	}
	*s = byteSize(n * unit)
	return nil
}

// Type returns the type name that the help shows.
func (*byteSize) Type() string { return "size" }
