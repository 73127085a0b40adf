package plan

import (
	"slices"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// TestActivationNotes verifies the notes about activations that a restoration takes back or brings back, and that an activation that is new in the
// proposal, such as that of a dry run, has none.
func TestActivationNotes(t *testing.T) {
	at := time.Date(2006, 7, 1, 0, 0, 0, 0, time.UTC)
	activation := func(id uint64) policy.Activation {
		return policy.Activation{ID: id, Phase: "drain", At: at, Author: "noc"}
	}
	of := func(number uint64, all ...policy.Activation) *intent.Intent {
		return &intent.Intent{Revision: store.Revision{Number: number}, Bundle: &policy.Bundle{Policy: &policy.Policy{}}, Activations: all}
	}
	for _, x := range []struct {
		name           string
		base, proposed *intent.Intent
		want           []string
	}{
		{"a dry run", of(9, activation(4)), of(9, activation(4), policy.Activation{ID: 10, Phase: "watch", At: at}), nil},
		{"taken back", of(9, activation(4)), of(9), []string{"the activation of phase drain by noc, revision 4 of 2006-07-01 00:00:00 +0000, is taken back"}},
		{"brought back", of(9), of(9, activation(4)), []string{"the activation of phase drain by noc, revision 4 of 2006-07-01 00:00:00 +0000, is brought back"}},
	} {
		if got := activationNotes(x.base, x.proposed); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}
