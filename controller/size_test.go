package main

import "testing"

func TestByteSize(t *testing.T) {
	for text, want := range map[string]string{
		"2GiB": "2GiB", "2048MiB": "2GiB", "2147483648": "2GiB", "1536KiB": "1536KiB", "100": "100",
	} {
		var s byteSize
		if err := s.Set(text); err != nil || s.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, s.String(), err, want)
		}
	}
	for _, text := range []string{"", "2GB", "-1MiB", "0", "1.5GiB", "9223372036854775807GiB", "GiB"} {
		var s byteSize
		if err := s.Set(text); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}
