package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// A stub is a switch in memory that reports the outcome of each update, as a p4rt.Session does.
type stub struct {
	memory
	writes   [][]pipeline.Update
	meddle   func(*stub) // called once, before the next write
	room     int         // the maximum number of entries; 0 means no limit
	full     codes.Code  // the code of an update for which there is no room
	deaf     bool        // every write reports success and does nothing
	unclear  bool        // the next write is applied, but its outcome is reported as unclear
	released error       // if not nil, the error of every write
}

func (s *stub) ReadEntries(_ context.Context, tables []pipeline.Table, fn func(pipeline.Entry) error) error {
	for _, e := range s.memory {
		if !slices.Contains(tables, e.Key.Table()) {
			continue
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *stub) WriteEntries(_ context.Context, updates []pipeline.Update) error {
	s.writes = append(s.writes, updates)
	if s.released != nil {
		return s.released
	}
	if meddle := s.meddle; meddle != nil {
		s.meddle = nil
		meddle(s)
	}
	if s.deaf {
		return nil
	}
	told := &p4rt.WriteError{Total: len(updates)}
	for i, u := range updates {
		code := codes.OK
		e := *u.Entry
		_, exists := s.memory[e.Key]
		switch {
		case u.Kind == pipeline.Insert && exists:
			code = codes.AlreadyExists
		case u.Kind != pipeline.Insert && !exists:
			code = codes.NotFound
		case u.Kind == pipeline.Insert && s.room > 0 && len(s.memory) >= s.room:
			code = s.full
		case u.Kind == pipeline.Delete:
			delete(s.memory, e.Key)
		default:
			s.memory[e.Key] = e
		}
		if code != codes.OK {
			told.Failed = append(told.Failed, p4rt.UpdateError{Index: i, Code: code, Message: e.String()})
		}
	}
	if s.unclear {
		s.unclear = false
		return &p4rt.WriteError{Total: len(updates), Unclear: p4rt.Span{From: 0, To: len(updates)}, Err: p4rt.ErrUnclear}
	}
	if told.Applied = len(updates) - len(told.Failed); len(told.Failed) > 0 {
		return told
	}
	return nil
}

func relays(prefixes ...string) *pipeline.State {
	s := &pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{}, Verdicts: map[pipeline.VerdictKey]pipeline.Verdict{{Priority: 1}: {Action: pipeline.Drop, Rule: 2}}}
	for _, p := range prefixes {
		s.Remotes[netip.MustParsePrefix(p)] = 1
	}
	return s
}

func find(t *testing.T, m memory, text string) pipeline.Entry {
	t.Helper()
	for _, e := range m {
		if strings.HasPrefix(e.String(), text) {
			return e
		}
	}
	t.Fatalf("the switch has no %s", text)
	return pipeline.Entry{}
}

// TestHealing verifies (I7) that updates succeed although another controller has just changed the same entries, and
// that only the refused updates are sent again.
func TestHealing(t *testing.T) {
	sw := &stub{memory: fresh()}
	apply := func(want *pipeline.State) {
		t.Helper()
		if _, _, err := Apply(t.Context(), sw, want, nil, Options{}); err != nil {
			t.Fatal(err)
		}
		target := memory{}
		for key, e := range sw.memory {
			if _, isRule := e.Epoch(); !isRule {
				target[key] = e
			}
		}
		fixed, err := want.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range fixed {
			if target[e.Key].Value != e.Value {
				t.Errorf("%s is missing or other", e)
			}
		}
	}
	apply(relays("192.0.2.0/24", "198.51.100.0/24"))

	t.Run("added before", func(t *testing.T) {
		sw.meddle = func(s *stub) {
			entries, _ := relays("203.0.113.0/24").Entries()
			for _, e := range entries {
				if e.Table() == "remote_v4" {
					s.memory[e.Key] = e.WithNumber(7)
				}
			}
		}
		apply(relays("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
	})
	t.Run("removed before", func(t *testing.T) {
		gone := find(t, sw.memory, "remote_v4 prefix=203.0.113.0/24")
		sw.meddle = func(s *stub) { delete(s.memory, gone.Key) }
		apply(relays("192.0.2.0/24", "198.51.100.0/24"))
	})
	t.Run("removed before it is changed", func(t *testing.T) {
		gone := find(t, sw.memory, "remote_v4 prefix=192.0.2.0/24")
		want := relays("192.0.2.0/24", "198.51.100.0/24")
		want.Remotes[netip.MustParsePrefix("192.0.2.0/24")] = 2
		sw.meddle = func(s *stub) { delete(s.memory, gone.Key) }
		sw.writes = nil
		apply(want)
		if len(sw.writes) != 2 || len(sw.writes[1]) != 1 {
			t.Errorf("%d writes, want the change and the one entry again", len(sw.writes))
		}
	})
	t.Run("an answer that was lost", func(t *testing.T) {
		sw.unclear = true
		apply(relays("192.0.2.0/24"))
	})
}

func TestApplyGivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		sw   *stub
		kind error
		text string
	}{
		"full, says bmv2": {
			&stub{memory: fresh(), room: len(fresh()) + 1, full: codes.Unknown}, nil, `table "remote_v4": the switch refused remote_v4 prefix=`,
		},
		"full":        {&stub{memory: fresh(), room: len(fresh()) + 1, full: codes.ResourceExhausted}, ErrNoRoom, `table "remote_v4": no room: the switch refused remote_v4 prefix=`},
		"deaf":        {&stub{memory: fresh(), deaf: true}, ErrNotConverged, "4 entries to add, 1 to change, 0 to remove are left; first: remote_v4 prefix="},
		"not primary": {&stub{memory: fresh(), released: fmt.Errorf("write: %w", p4rt.ErrNotPrimary)}, p4rt.ErrNotPrimary, "add forwarding, lines, services and addresses before the rules change: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Apply(t.Context(), test.sw, relays("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"), nil, Options{})
			if err == nil || test.kind != nil && !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error is %v, want %v with %q", err, test.kind, test.text)
			}
			if name == "full" && len(test.sw.writes) != 1 {
				t.Errorf("a full switch was written to %d times, want once", len(test.sw.writes))
			}
		})
	}
}

// TestApplyConceals verifies that no error contains an entry that Name conceals. Neither does the switch's message about an entry other than the
// one that the error names.
func TestApplyConceals(t *testing.T) {
	secret := netip.MustParsePrefix("192.0.2.0/24")
	there := func(s *stub) { // another client writes the secret entry first
		entries, err := relays(secret.String()).Entries()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Table() == "remote_v4" {
				s.memory[e.Key] = e
			}
		}
	}
	for name, test := range map[string]struct {
		sw   *stub
		want string
	}{
		"full":                       {&stub{memory: fresh(), room: len(fresh()), full: codes.ResourceExhausted}, "no room: the switch refused the secret"},
		"full, says bmv2":            {&stub{memory: fresh(), room: len(fresh()), full: codes.Unknown}, "the switch refused the secret"},
		"full after another refusal": {&stub{memory: fresh(), room: len(fresh()) + 1, full: codes.ResourceExhausted, meddle: there}, "198.51.100.0/24"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Apply(t.Context(), test.sw, relays(secret.String(), "198.51.100.0/24"), nil, Options{Name: func(e pipeline.Entry) string {
				if p, ok := e.Prefix(); ok && p == secret {
					return "the secret"
				}
				return e.String()
			}})
			if err == nil || strings.Contains(err.Error(), secret.Addr().String()) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q and not %v", err, test.want, secret)
			}
		})
	}
}

// TestKeep verifies that an undesired entry stays if Keep returns true for it, that the plan lists the entry, and that
// nothing is written.
func TestKeep(t *testing.T) {
	sw := &stub{memory: fresh()}
	want := relays("192.0.2.0/24")
	if _, _, err := Apply(t.Context(), sw, relays("192.0.2.0/24", "198.51.100.0/24"), nil, Options{}); err != nil {
		t.Fatal(err)
	}
	sw.writes = nil
	plan, _, err := Apply(t.Context(), sw, want, nil, Options{Keep: func(e pipeline.Entry) bool { return e.Table() == "remote_v4" }})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Kept) != 1 || !strings.Contains(plan.Kept[0].String(), "198.51.100.0/24") || len(sw.writes) != 0 {
		t.Errorf("kept %v with %d writes, want the one prefix and none", plan.Kept, len(sw.writes))
	}
}

// TestPutInForce verifies that PutInForce changes to a staged rule set and back by one MODIFY each, without a read. It
// also verifies that PutInForce returns false for a rule set that the switch does not have.
func TestPutInForce(t *testing.T) {
	sw := &stub{memory: fresh()}
	want := relays("192.0.2.0/24")
	later := map[pipeline.VerdictKey]pipeline.Verdict{{Priority: 1}: {Action: pipeline.Monitor, Rule: 2}}
	want.Staged = []map[pipeline.VerdictKey]pipeline.Verdict{later, {}, want.Verdicts}
	_, memory, err := Apply(t.Context(), sw, want, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	print := func(rules map[pipeline.VerdictKey]pipeline.Verdict) Fingerprint {
		f, err := FingerprintOf(rules)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := memory.Running()
	for _, rules := range []map[pipeline.VerdictKey]pipeline.Verdict{later, want.Verdicts} {
		sw.writes = nil
		before := maps.Clone(sw.memory)
		if ok, err := memory.PutInForce(t.Context(), sw, print(rules), false); err != nil || !ok {
			t.Fatalf("PutInForce says %v, %v", ok, err)
		}
		if len(sw.writes) != 1 || len(sw.writes[0]) != 1 || sw.writes[0][0].Kind != pipeline.Modify {
			t.Errorf("%d writes, want one MODIFY", len(sw.writes))
		}
		next := *want
		next.Verdicts, next.Staged = rules, append(slices.Clone(want.Staged), want.Verdicts)
		plan, err := Make(sw.entries(), &next, nil, Options{})
		if err != nil || len(plan.Steps) != 0 {
			t.Errorf("after it a plan has %d steps (%v), want none", len(plan.Steps), err)
		}
		if maps.EqualFunc(before, sw.memory, func(a, b pipeline.Entry) bool { return a.Value == b.Value }) {
			t.Error("nothing has changed")
		}
	}
	if memory.Running() != first {
		t.Errorf("back at epoch %d, want %d", memory.Running(), first)
	}
	other := map[pipeline.VerdictKey]pipeline.Verdict{{Priority: 9}: {Action: pipeline.Monitor, Rule: 2}}
	if ok, err := memory.PutInForce(t.Context(), sw, print(other), false); ok || err != nil {
		t.Errorf("a rule set that is not there: %v, %v, want false", ok, err)
	}
}

// TestFills verifies the numbers of entries and the table sizes in Plan.Tables.
func TestFills(t *testing.T) {
	contract := contractOf(t)
	plan, err := Make(fresh().entries(), relays("192.0.2.0/24", "198.51.100.0/24"), contract, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Fill{}
	for _, f := range plan.Tables {
		got[f.Table] = f
	}
	if got["remote_v4"].Entries != 2 || got["remote_v4"].Size != 10240 || got["verdict"].Entries != 1 || got["bridge"].Entries != 0 {
		t.Errorf("tables are %v", plan.Tables)
	}
	if _, ok := got["running_epoch"]; ok {
		t.Errorf("a table that takes no entries is listed: %v", got["running_epoch"])
	}
}
