package api

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/clock"
	op25bv1 "op25b/proto/op25b/v1"
)

// I11: a controller whose clock was set puts no further dates in force, and reports that, until an
// operator confirms the clock.
func TestClock(t *testing.T) {
	off := time.Duration(0)
	began := time.Now()
	elapsed := func() time.Duration { return time.Since(began) }
	c, err := clock.New(clock.Config{Source: clock.Source{
		Wall: func() time.Time { return time.Date(2006, 5, 31, 12, 0, 0, 0, time.UTC).Add(elapsed() + off) }, Elapsed: elapsed, Boot: "test",
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.Name, d.Clock, d.Now = "noc-1", c, nil })
	w.put(spinnet(t))
	ctx := within(t)
	fleet, phases := op25bv1.NewFleetServiceClient(w.dial()), op25bv1.NewPhaseServiceClient(w.dial())
	inForce := func() (names []string) {
		t.Helper()
		r, err := phases.ListPhases(ctx, &op25bv1.ListPhasesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Phases {
			if p.Everywhere {
				names = append(names, p.Name)
			}
		}
		return names
	}
	readyz := func() string {
		t.Helper()
		resp, err := http.Get("http://" + w.addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("readyz: %v, %v", resp.Status, err)
		}
		return string(text)
	}
	confirm := func(name string) error {
		_, err := fleet.ConfirmClock(ctx, &op25bv1.ConfirmClockRequest{Controller: name, Reason: "it was wrong before"})
		return err
	}
	clocks, err := fleet.ListClocks(ctx, &op25bv1.ListClocksRequest{})
	if err != nil || len(clocks.Clocks) != 1 || !clocks.Clocks[0].Self || clocks.Clocks[0].Hold != op25bv1.ClockHold_CLOCK_HOLD_NONE {
		t.Errorf("%v, %v", clocks, err)
	}
	if err := confirm(""); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "holds no dates") {
		t.Errorf("a clock that is trusted: %v", err)
	}
	if err := confirm("noc-9"); status.Code(err) != codes.NotFound {
		t.Errorf("a controller that is not there: %v", err)
	}

	off = 72 * time.Hour
	if got := inForce(); !slices.Equal(got, []string{"before"}) {
		t.Errorf("in force is %q", got)
	}
	const want = "controller noc-1 has put no date in force since 2006-05-31T12:"
	if text := readyz(); !strings.HasPrefix(text, "ready\n") || !strings.Contains(text, "warning: "+want) || !strings.Contains(text, "72h0m0s ahead of where it should be") {
		t.Errorf("readyz says %q", text)
	}
	switches, err := fleet.ListSwitches(ctx, &op25bv1.ListSwitchesRequest{})
	if err != nil || len(switches.Clocks) != 1 || switches.Clocks[0].Hold != op25bv1.ClockHold_CLOCK_HOLD_JUMP || len(switches.Notices) != 1 {
		t.Errorf("%v, %v", switches, err)
	}
	presence, err := w.store.Join(ctx, "noc-1", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := confirm(""); err != nil {
		t.Error(err)
	}
	if chain := w.chain(); !slices.Contains(chain, "local admin confirm clock controller noc-1") {
		t.Errorf("the chain is %q", chain)
	}
	if err := presence.Leave(ctx); err != nil {
		t.Error(err)
	}
	c.Confirm() // in a real controller, the clock keeper calls Confirm
	if got := inForce(); !slices.Equal(got, []string{"mobile-carriers"}) {
		t.Errorf("in force is %q", got)
	}
	if text := readyz(); text != "ready\n" {
		t.Errorf("readyz says %q", text)
	}
}
