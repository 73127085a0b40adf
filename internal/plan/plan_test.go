package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/bring"
	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/meaning"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/softswitch"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
	"op25b/p4src"
)

// onlySwitch returns the plan of the only switch in p.
func onlySwitch(t testing.TB, p *Plan) *SwitchPlan {
	t.Helper()
	if len(p.Switches) != 1 {
		t.Fatalf("%d switches are planned for, want 1", len(p.Switches))
	}
	return p.Switches[0]
}

// TestPlan plans for one switch when the switch is empty, has the desired state, is about to change its phase, and is
// unreachable.
func TestPlan(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	addr, stop := startSwitch(t, 1)
	files := edit(t, examples.SpinNet2006(), "127.0.0.1:9559", addr)

	first := w.make(nil, w.propose(files))
	s := onlySwitch(t, first)
	if first.Base != 0 || s.Standing != Empty || s.AppliedRevision != 0 || s.Drift != nil || s.PhaseBefore.String() != "" || s.PhaseAfter.String() != "before" ||
		s.Change.Added == 0 || s.Change.Removed != 0 || s.Updates == 0 || !first.Changes || len(first.Documents) != 3 || !first.Documents[0].Added {
		t.Errorf("an empty switch: %v", first)
	}

	one := w.put(files)
	w.bring(one, "edge-1")
	same := w.make(one, one)
	s = onlySwitch(t, same)
	if same.Base != 1 || same.Changes || s.Standing != Read || s.AppliedRevision != 1 || s.Updates != 0 || s.Change.Size() != 0 || s.Drifted() || len(s.Meaning) != 0 {
		t.Errorf("a switch that is as it should be: %v", same)
	}

	remark := w.make(one, w.propose(edit(t, files, "name: spinnet-2006", "name: spinnet-2006 # a remark")))
	if s := onlySwitch(t, remark); !remark.Changes || len(remark.Documents) != 1 || s.Updates != 0 {
		t.Errorf("a remark: %v", remark)
	}

	later := edit(t, files, "effective: 2006-06-01", "effective: 2006-05-19")
	next := w.make(one, w.propose(later))
	s = onlySwitch(t, next)
	// The rule set of the phase is staged already, so one MODIFY puts it in force. For packets, however, two rules change.
	if s.Updates != 1 || s.Change.Changed != 2 || s.Change.Size() != 2 || s.PhaseBefore.String() != "before" || s.PhaseAfter.String() != "mobile-carriers" ||
		next.Totals.Stops == 0 || next.Totals.Opens != 0 || s.Meaning[0].Severity != meaning.Stops {
		t.Errorf("a phase that comes sooner: %v", next)
	}

	stop()
	away := w.make(one, w.propose(later))
	s = onlySwitch(t, away)
	if s.Standing != Unreachable || !strings.HasSuffix(s.Reason, "; this plan assumes the entries of revision 1") || s.Drift != nil ||
		s.Change.Changed != 2 || away.Totals.SwitchesUnread != 1 || !away.Changes || s.Err != nil {
		t.Errorf("a switch that is away: %v", away)
	}
}

// TestDrift verifies that a plan reports another controller's changes as drift, counts foreign entries separately, and
// repairs the drift.
func TestDrift(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	addr, _ := startSwitch(t, 1)
	files := edit(t, examples.SpinNet2006(), "127.0.0.1:9559", addr)
	one := w.put(files)
	w.bring(one, "edge-1")
	have := readAll(t, w, one)
	pick := func(table string) pipeline.Entry {
		i := slices.IndexFunc(have, func(e pipeline.Entry) bool { return e.Table() == table && !e.IsDefault() })
		if i < 0 {
			t.Fatalf("the switch has no %s entry", table)
		}
		return have[i]
	}
	running := have[slices.IndexFunc(have, func(e pipeline.Entry) bool { _, ok := e.IsRunningEpoch(); return ok })]
	epoch, _ := running.IsRunningEpoch()
	foreign, err := (&pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{{2, 9, 9, 9, 9, 9}: {Port: 7}}}).Entries()
	if err != nil {
		t.Fatal(err)
	}
	stray := foreign[slices.IndexFunc(foreign, func(e pipeline.Entry) bool { return !e.IsDefault() })]
	changed := pick("remote_v4").WithNumber(77)
	w.write(
		one, "edge-1",
		&p4v1.Update{Type: p4v1.Update_DELETE, Entity: p4rt.Entity(pick("subscriber_v4"))},
		&p4v1.Update{Type: p4v1.Update_MODIFY, Entity: p4rt.Entity(changed)},
		&p4v1.Update{Type: p4v1.Update_INSERT, Entity: p4rt.Entity(stray)},
		&p4v1.Update{Type: p4v1.Update_MODIFY, Entity: p4rt.Entity(pipeline.EpochEntry(epoch, true))},
	)
	made := w.make(one, one)
	s := onlySwitch(t, made)
	if s.Drift.Added != 1 || s.Drift.Foreign != 1 || s.Drift.Changed != 2 || s.Drift.Removed != 1 || !s.Drifted() || made.Totals.SwitchesDrifted != 1 || made.Totals.Drifted != 4 {
		t.Errorf("drift: %v", s.Drift)
	}
	want := []EntryChange{
		{Changed, pick("remote_v4"), changed},
		{Kind: Added, New: stray},
	}
	same := func(a, b pipeline.Entry) bool { return a.Key == b.Key && a.Value == b.Value }
	for _, c := range want {
		if !slices.ContainsFunc(s.Drift.Entries, func(x EntryChange) bool { return x.Kind == c.Kind && same(x.Old, c.Old) && same(x.New, c.New) }) {
			t.Errorf("the drift does not have %v: %v", c, s.Drift.Entries)
		}
	}
	if s.Change.Added != 1 || s.Change.Changed != 2 || s.Change.Removed != 1 || s.Updates == 0 || !made.Changes || len(s.Meaning) != 0 {
		t.Errorf("the repair: %v", s)
	}
	// Without Request.Applied, the switch is assumed to have the state of the base.
	kept, err := w.planner(nil).Make(within(t), Request{Base: one, Proposed: w.propose(edit(t, files,
		"deviceID: 1 ", "foreign: keep\n    deviceID: 1 ", `203.0.113.0/26, "2001:db8:ca::/48"`, "203.0.113.0/26"))})
	if err != nil {
		t.Fatal(err)
	}
	if s := onlySwitch(t, kept); s.Drift.Added != 1 || s.Drift.Foreign != 1 || s.Change.Removed != 1 || s.Change.Added != 1 {
		t.Errorf("where foreign entries are kept: %v", s)
	}
	// An entry that another controller wrote is not foreign if the proposal also has it.
	w.write(one, "edge-1", &p4v1.Update{Type: p4v1.Update_INSERT, Entity: relay(t, "198.51.100.64/28")})
	asked := onlySwitch(t, w.make(one, w.propose(edit(t, files, "prefixes: [198.51.100.16/28", "prefixes: [198.51.100.64/28, 198.51.100.16/28"))))
	if asked.Drift.Added != 2 || asked.Drift.Foreign != 1 {
		t.Errorf("an entry that is asked for now: %v", asked.Drift)
	}
	w.write(one, "edge-1", &p4v1.Update{Type: p4v1.Update_DELETE, Entity: relay(t, "198.51.100.64/28")})
	few, err := w.planner(nil).Make(within(t), Request{Base: one, Proposed: one, Entries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := onlySwitch(t, few); len(s.Drift.Entries) != 1 || !s.Drift.Truncated() || s.Drift.Size() != 4 {
		t.Errorf("one entry a difference: %v", s.Drift)
	}
}

// relay returns an entry that assigns a prefix to the class of the own relays.
func relay(t testing.TB, prefix string) *p4v1.Entity {
	t.Helper()
	entries, err := (&pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{netip.MustParsePrefix(prefix): 1}}).Entries()
	if err != nil {
		t.Fatal(err)
	}
	return p4rt.Entity(entries[slices.IndexFunc(entries, func(e pipeline.Entry) bool { return !e.IsDefault() })])
}

func readAll(t testing.TB, w *world, in *intent.Intent) []pipeline.Entry {
	t.Helper()
	s := w.session(in, "edge-1")
	defer s.Close()
	have, err := reconcile.Read(within(t), s)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// TestOtherProgram verifies that a plan replaces another program, and that all entries missing as a result count as drift.
func TestOtherProgram(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	addr, _ := startSwitch(t, 1)
	one := w.put(edit(t, examples.SpinNet2006(), "127.0.0.1:9559", addr))
	w.bring(one, "edge-1")
	s := w.session(one, "edge-1")
	if err := s.Push(within(t), p4src.P4Info(), p4src.DeviceConfig(), 0x4711); err != nil {
		t.Fatal(err)
	}
	s.Close()
	other := onlySwitch(t, w.make(one, one))
	if other.Standing != Other || !strings.HasPrefix(other.Reason, "it runs the program with cookie 0x4711, and op25b's is 0x") ||
		other.Drift.Removed == 0 || other.Drift.Added != 0 || other.Change.Added != other.Drift.Removed {
		t.Errorf("%v", other)
	}
}

// TestRefused verifies that the plan of a switch reports a full table, a time before the first phase, and an unknown
// revision, and that Make succeeds nevertheless.
func TestRefused(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	addr, _ := startSwitch(t, 1)
	in := w.propose(edit(t, examples.SpinNet2006(), "127.0.0.1:9559", addr))
	p := w.planner(nil)
	info := proto.CloneOf(p4src.P4Info())
	for _, table := range info.Tables {
		if table.Preamble.Alias == "verdict" || strings.HasSuffix(table.Preamble.Name, ".verdict") {
			table.Size = 3
		}
	}
	p.program = programOf(t, info)
	made, err := p.Make(within(t), Request{Proposed: in})
	if err != nil {
		t.Fatal(err)
	}
	if s := onlySwitch(t, made); !errors.Is(s.Err, reconcile.ErrNoRoom) || !strings.Contains(s.Err.Error(), `table "verdict": no room: 3 entries`) || s.Updates != 0 || s.Change != nil ||
		s.Meaning != nil || made.Totals.SwitchesRefused != 1 || s.Waits() {
		t.Errorf("a table without room: %v", s)
	}
	// Fits reports the full table without reading the switch, even before the first phase (I10).
	for _, day := range []string{"2006-05-20", "2006-01-01"} {
		w.setDay(day)
		want := regexp.MustCompile(`^nothing was stored: switch "edge-1": table "verdict": no room: 3 entries, \d+ wanted$`)
		if err := p.Fits(within(t), in); !errors.Is(err, ErrRefused) || !errors.Is(err, reconcile.ErrNoRoom) || !want.MatchString(err.Error()) {
			t.Errorf("on %s: %v", day, err)
		}
		if err := w.planner(nil).Fits(within(t), in); err != nil {
			t.Errorf("on %s, by the program's own sizes: %v", day, err)
		}
	}

	w.setDay("2006-01-01")
	early := w.make(nil, in)
	if s := onlySwitch(t, early); s.Err == nil || s.Err.Error() != `switch "edge-1" at 2006-01-01T00:00:00Z: no phase is in force: the first begins at 2006-05-18T00:00:00+09:00` ||
		early.Totals.SwitchesRefused != 0 || early.Totals.SwitchesWaiting != 1 || !s.Waits() || s.Standing != Empty {
		t.Errorf("before the first phase: %v", s)
	}

	w.setDay("2006-05-20")
	w.applied["edge-1"] = bring.Applied{Revision: 99}
	files := edit(t, examples.SpinNet2006(), "127.0.0.1:9559", nobody(t))
	if s := onlySwitch(t, w.make(nil, w.propose(files))); !strings.Contains(s.Reason, "; revision 99, to which it was last brought, cannot be used (") ||
		!strings.HasSuffix(s.Reason, "; this plan assumes an empty switch") || s.AppliedRevision != 99 || s.PhaseBefore.String() != "" || s.Change.Added == 0 {
		t.Errorf("brought to a revision that is gone: %v", s)
	}
}

func programOf(t testing.TB, info *configv1.P4Info) *bring.Program {
	t.Helper()
	p, err := bring.NewProgram(info, p4src.DeviceConfig())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRequests(t *testing.T) {
	w := newWorld(t, "2026-01-01")
	in := w.propose(edit(t, examples.LibmoMobile(), "127.0.0.1:9571", nobody(t), "127.0.0.1:9572", nobody(t), "127.0.0.1:9573", nobody(t)))
	p := w.planner(nil)
	for _, c := range []struct {
		name string
		r    Request
		kind error
		want string
	}{
		{"nothing", Request{}, ErrRequest, "not a request that can be planned: no intent is proposed"},
		{"entries", Request{Proposed: in, Entries: 10_001}, ErrRequest, "10001 entries a difference: must be 1 to 10000, or 0 for 20"},
		{"switch", Request{Proposed: in, Switches: []string{"edge-est"}}, compile.ErrUnknownSwitch, `unknown switch "edge-est"`},
	} {
		if _, err := p.Make(within(t), c.r); !errors.Is(err, c.kind) || !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	made, err := p.Make(within(t), Request{Proposed: in, Switches: []string{"edge-west", "edge-east"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Switches) != 2 || made.Switches[0].Switch != "edge-east" || made.Switches[1].Switch != "edge-west" {
		t.Errorf("the switches that were asked for: %v", made.Switches)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the caller has gone")
	p = w.planner(func(c *Config) {
		c.Parallel = 1
		c.Dial = func(ctx context.Context, sw *policy.Switch) (Reader, error) {
			cancel(gone)
			return DialSwitch(ctx, sw)
		}
	})
	if _, err := p.Make(ctx, Request{Proposed: in}); !errors.Is(err, gone) {
		t.Errorf("without a caller: %v", err)
	}
}

// TestParallel verifies that Make reads no more than Parallel switches at a time, and reads all of them.
func TestParallel(t *testing.T) {
	w := newWorld(t, "2026-01-01")
	in := w.propose(examples.LibmoMobile())
	here := make(chan struct{})
	free := make(chan struct{})
	p := w.planner(func(c *Config) {
		c.Parallel = 2
		c.Dial = func(context.Context, *policy.Switch) (Reader, error) {
			here <- struct{}{}
			<-free
			return nil, p4rt.ErrUnreachable
		}
	})
	done := make(chan error, 1)
	go func() {
		_, err := p.Make(within(t), Request{Proposed: in})
		done <- err
	}()
	<-here
	<-here
	select {
	case <-here:
		t.Error("a third switch is read while two are")
	default:
	}
	free <- struct{}{}
	<-here
	close(free)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestTLS verifies that a switch with TLS options is read over TLS with the certificates that the inventory names.
func TestTLS(t *testing.T) {
	us := tlstest.New(t)
	server, client := us.Dir(t, "127.0.0.1"), us.Dir(t, "controller")
	secure, err := tlsfiles.Server(tlsfiles.Files{CA: server.CA, Cert: server.Cert, Key: server.Key}, true)
	if err != nil {
		t.Fatal(err)
	}
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	services, err := sw.ListenTLS(softswitch.Addrs{P4Runtime: "127.0.0.1:0"}, secure)
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	w := newWorld(t, "2006-05-20")
	in := func(tls string) *intent.Intent {
		return w.propose(edit(t, examples.SpinNet2006(), "127.0.0.1:9559", services.Addrs.P4Runtime+"\n    tls: "+tls))
	}
	mutual := in(fmt.Sprintf("{ca: %s, cert: %s, key: %s}", client.CA, client.Cert, client.Key))
	if s := onlySwitch(t, w.make(nil, mutual)); s.Standing != Empty {
		t.Errorf("over mutual TLS: %s, %s", s.Standing, s.Reason)
	}
	if s := onlySwitch(t, w.make(nil, in("{ca: "+client.CA+"}"))); s.Standing != Unreachable || !strings.Contains(s.Reason, "TLS") {
		t.Errorf("without a certificate: %s, %s", s.Standing, s.Reason)
	}
	if s := onlySwitch(t, w.make(nil, in("{ca: /nowhere.pem}"))); s.Standing != Unreachable || !strings.Contains(s.Reason, "/nowhere.pem") {
		t.Errorf("without authorities: %s, %s", s.Standing, s.Reason)
	}
}

// TestGone verifies that a plan for all switches includes the switches that the proposal removes.
func TestGone(t *testing.T) {
	w := newWorld(t, "2026-05-01")
	addr := nobody(t)
	files := edit(t, examples.LibmoMobile(), "127.0.0.1:9571", addr, "127.0.0.1:9572", nobody(t), "127.0.0.1:9573", nobody(t))
	one := w.put(files)
	i := bytes.Index(files[0].Data, []byte("  - name: edge-south"))
	files[0].Data = files[0].Data[:i]
	made := w.make(one, w.propose(files))
	if n := len(made.Switches); n != 3 || made.Switches[2].Switch != "edge-south" || made.Switches[2].Standing != Gone || made.Switches[2].Change != nil {
		t.Errorf("%v", made.Switches)
	}
	if got := made.Switches[2].Reason; got != "the proposed inventory does not have it: it keeps its entries, and no controller owns it" {
		t.Error(got)
	}
	some, err := w.planner(nil).Make(within(t), Request{Base: one, Proposed: w.propose(files), Switches: []string{"edge-east"}})
	if err != nil || len(some.Switches) != 1 {
		t.Errorf("one of them: %v, %v", some, err)
	}
}
