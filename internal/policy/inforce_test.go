package policy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ParseInForce is the inverse of String, apart from groups that have the default phase.
func TestParseInForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z][a-z0-9-]{0,5}`)
		in := InForce{Default: name.Draw(t, "default"), Groups: rapid.MapOf(name, name).Draw(t, "groups")}
		got, err := ParseInForce(in.String())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(in.Plain(), got); d != "" {
			t.Fatalf("%q: want - got +:\n%s", in, d)
		}
	})
	for _, text := range []string{"", "; a: b", "a; b", "a; : b", "a; b: ", "a b"} {
		if in, err := ParseInForce(text); !errors.Is(err, ErrUnknownPhase) {
			t.Errorf("%q: %+v, %v", text, in, err)
		}
	}
}
