package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"op25b/internal/auth"
)

// A caller that repeats refused changes cannot fill the audit chain. The chain records the number of the
// caller's attempts instead.
func TestI12RefusalsAreThinned(t *testing.T) { // I12
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.Auth.Access = access })
	conn := w.dial()
	ask := func(role string, times int) {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
		for range times {
			if err := invoke(ctx, conn, "/op25b.v1.IntentService/Apply"); err == nil {
				t.Fatal("the call was not refused")
			}
		}
	}
	const asked = 200
	began := time.Now()
	ask("viewer", asked)
	t.Logf("%d refused calls in %v", asked, time.Since(began))
	ask("operator", asked) // an operator may apply, but these requests are invalid
	count := make(map[string]int)
	for _, record := range w.chain() {
		count[strings.Fields(record)[0]]++
	}
	if count["viewer-bot"] != refusalsAtOnce || count["operator-bot"] != refusalsAtOnce {
		t.Errorf("the chain has %v records, want %d of each caller", count, refusalsAtOnce)
	}
	w.now = w.now.Add(time.Minute)
	ask("viewer", 1)
	records, err := w.store.Audit().Records(within(t), 2*refusalsAtOnce+1, 10)
	want := fmt.Sprintf("; %d more since the last such record", asked-refusalsAtOnce)
	if err != nil || len(records) != 1 || records[0].Who != "viewer-bot" || !strings.HasSuffix(records[0].Detail, want) {
		t.Errorf("a minute later: %+v, %v; want one record of viewer-bot with %q", records, err, want)
	}
}

// The limits hold for any number of callers.
func TestRefusalsAreBounded(t *testing.T) {
	now := time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	r := newRefusals(func() time.Time { return now })
	recorded := 0
	for i := range 10 * maxRefused {
		if _, ok := r.tell(fmt.Sprintf("caller %d", i)); ok {
			recorded++
		}
	}
	if recorded != allRefusalsAtOnce || len(r.of) > maxRefused {
		t.Errorf("%d recorded and %d callers remembered, want %d and at most %d", recorded, len(r.of), allRefusalsAtOnce, maxRefused)
	}
	now = now.Add(time.Hour)
	missed := 0
	for range 2 * maxRefused { // all known callers are idle and make room for the new caller
		n, ok := r.tell("newcomer")
		if missed += n; !ok {
			break
		}
	}
	if r.of["newcomer"] == nil {
		t.Error("a caller found no place though all others were idle")
	}
}

// One caller cannot use up the records that are available to others.
func TestRefusalsOfOneCallerLeaveRoomForOthers(t *testing.T) {
	now := time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	r := newRefusals(func() time.Time { return now })
	for range 10000 {
		r.tell("noisy")
		now = now.Add(time.Second)
	}
	if _, ok := r.tell("quiet"); !ok {
		t.Error("the refusal of a quiet caller is not recorded beside a noisy one")
	}
	now = now.Add(time.Minute)
	if missed, ok := r.tell("noisy"); !ok || missed == 0 {
		t.Errorf("the noisy caller: missed %d, recorded %v", missed, ok)
	}
}
