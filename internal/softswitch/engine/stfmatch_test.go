package engine

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"op25b/internal/softswitch/match"
)

func stfKey(keys []KeyField, name string) int {
	name = regexp.MustCompile(`^(.*)\$(\d+)(.*)$`).ReplaceAllString(name, "$1[$2]$3")
	for _, try := range []func(string) bool{
		func(k string) bool { return k == name || k == name+"$" || k == name+".$valid$" },
		func(k string) bool { return strings.TrimSuffix(name, "valid")+"$valid$" == k },
		func(k string) bool { return strings.HasSuffix(k, "."+name) || strings.HasSuffix(k, "."+name+"$") },
		func(k string) bool { return name == "valid" && strings.HasSuffix(k, "$valid$") },
	} {
		for i, k := range keys {
			if try(k.Name) {
				return i
			}
		}
	}
	return -1
}

func stfMatch(k KeyField, s string) (Match, error) {
	s, prefix, slash := strings.Cut(s, "/")
	mask := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(k.Width)), big.NewInt(1))
	if strings.Contains(s, "*") {
		mask.SetString(regexp.MustCompile(`[0-9a-fA-F]`).ReplaceAllString(s[2:], "f"), 16)
		m, ok := new(big.Int).SetString(strings.ReplaceAll(regexp.MustCompile(`[0-9a-fA-F]`).ReplaceAllString(s[2:], "f"), "*", "0"), 16)
		if !ok {
			return Match{}, fmt.Errorf("bad value %q", s)
		}
		mask, s = m, strings.ReplaceAll(s, "*", "0")
	}
	v, ok := new(big.Int).SetString(s, 0)
	if !ok {
		return Match{}, fmt.Errorf("bad value %q", s)
	}
	switch k.Kind {
	case match.LPM:
		n := k.Width
		if slash {
			n, _ = strconv.Atoi(prefix)
		}
		rest := uint(k.Width - n)
		return Match{Value: v.Lsh(v.Rsh(v, rest), rest).Bytes(), PrefixLen: n, Wildcard: n == 0}, nil
	case match.Exact:
		return Match{Value: v.Bytes()}, nil
	case match.Range:
		return Match{Value: v.Bytes(), Mask: v.Bytes()}, nil
	}
	return Match{Value: v.And(v, mask).Bytes(), Mask: mask.Bytes()}, nil
}
