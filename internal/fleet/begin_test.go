package fleet

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"op25b/internal/store"
)

// I13. If an ownership ends before it has read the previous owner's status, the next ownership still finds that status in the store.
func TestBeginIsCutShort(t *testing.T) {
	s := embeddedStore(t)
	const name = "edge-1"
	id := must(s.Generation().Identity(within(t)))(t)
	stored := Status{Switch: name, Store: id.ID, State: StateFailed, Reason: ReasonNoRoom, Owner: "noc-0", Epoch: 1, Revision: 4, InForce: "before"}
	must(store.JSON[Status](s, statusKind).PutIf(within(t), name, store.AnyVersion, stored))(t)
	c := &controller{
		Config: Config{Name: "noc-1", Store: s, Now: time.Now}, log: zap.NewNop(), gen: s.Generation(), identity: id, reporter: newReporter(s, zap.NewNop()),
	}
	x := &assignment{c: c, name: name, log: zap.NewNop(), status: Status{Switch: name, Owner: "noc-1"}}
	ownership := func(ctx context.Context) {
		own := must(s.TryOwn(within(t), switchKind, name, "noc-1"))(t)
		tm := newWorker(x, own)
		x.own, tm.before = own, x.epoch
		// The assignment's own status, which has no data about the switch yet, is still waiting to be stored. With a slow store, the
		// reporter tries to store it at this point.
		if err := errors.Join(x.store(within(t)), c.reporter.storeAll(within(t), []*assignment{x})); err != nil {
			t.Fatal(err)
		}
		tm.begin(ctx)
		if err := errors.Join(x.store(within(t)), own.Release(within(t))); err != nil {
			t.Fatal(err)
		}
	}
	over, end := context.WithCancel(t.Context())
	end()
	ownership(over)
	if x.epoch != 0 || x.status.Ownership == Owned {
		t.Errorf("an ownership that ended at once took over %+v", x.status)
	}
	ownership(within(t))
	if x.status.Revision != 4 || x.status.InForce != "before" || x.epoch != x.status.Epoch {
		t.Errorf("the next ownership took over %+v", x.status)
	}
	if r := must(store.JSON[Status](s, statusKind).Get(within(t), name))(t); r.Value.Revision != 4 || r.Value.Epoch != x.epoch {
		t.Errorf("stored is %+v, want what the last ownership took over", r.Value)
	}
}
