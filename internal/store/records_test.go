package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

type activation struct {
	Phase string
	Ring  int
}

func TestRecords(t *testing.T) {
	s := embeddedStore(t)
	r := JSON[activation](s, "activation")
	_, err := r.Get(within(t), "access-1")
	wantError(t, err, ErrNotFound, `activation "access-1": not found`)
	first := must(r.PutIf(within(t), "access-1", 0, activation{"mobile", 1}))(t)
	got := must(r.Get(within(t), "access-1"))(t)
	if diff := cmp.Diff(Record[activation]{"access-1", activation{"mobile", 1}, first}, got); diff != "" {
		t.Error(diff)
	}
	second := must(r.PutIf(within(t), "access-1", first, activation{"mobile", 2}))(t)
	_, err = r.PutIf(within(t), "access-1", first, activation{"mobile", 3})
	wantError(t, err, ErrConflict, fmt.Sprintf(`activation "access-1": changed by another hand: expected version %d, found version %d`, first, second))
	_, err = r.PutIf(within(t), "access-1", 0, activation{})
	wantError(t, err, ErrConflict, "expected no record")
	_, err = r.PutIf(within(t), "access-9", second, activation{})
	wantError(t, err, ErrConflict, "found no record")
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Actual != 0 || conflict.Expected != second {
		t.Errorf("conflict %+v", conflict)
	}
	must(r.PutIf(within(t), "a/slash and a space", AnyVersion, activation{"x", 0}))(t)
	must(JSON[activation](s, "activations").PutIf(within(t), "of another kind", 0, activation{}))(t)
	var names []string
	for _, rec := range must(r.List(within(t)))(t) {
		names = append(names, rec.Name)
	}
	if diff := cmp.Diff([]string{"a/slash and a space", "access-1"}, names); diff != "" {
		t.Error(diff)
	}
	wantError(t, r.Delete(within(t), "access-1", first), ErrConflict, fmt.Sprintf("found version %d", second))
	if err := r.Delete(within(t), "access-1", second); err != nil {
		t.Error(err)
	}
	for _, rev := range []int64{second, AnyVersion} {
		if err := r.Delete(within(t), "access-1", rev); err != nil {
			t.Errorf("deleting what is gone, at %d: %v", rev, err)
		}
	}
	must(s.client.Put(within(t), r.path+"bad", "{"))(t)
	_, err = r.Get(within(t), "bad")
	wantError(t, err, ErrCorrupt, `activation "bad" at revision `)
	_, err = r.List(within(t))
	wantError(t, err, ErrCorrupt, `activation "bad" at revision `)
}

func TestRecordsRefused(t *testing.T) {
	s := embeddedStore(t)
	r := JSON[string](s, "status")
	_, err := r.PutIf(within(t), "", 0, "")
	wantError(t, err, ErrInvalid, `name "" of status: must be UTF-8 text of 1 to 512 bytes`)
	_, err = r.Get(within(t), strings.Repeat("x", 513))
	wantError(t, err, ErrInvalid, "of 1 to 512 bytes")
	_, err = JSON[string](s, "a/b").Get(within(t), "x")
	wantError(t, err, ErrInvalid, `kind "a/b": must be a word without /`)
	_, err = r.PutIf(within(t), "x", 0, strings.Repeat("x", MaxRecord))
	wantError(t, err, ErrInvalid, `status "x" has 1048578 bytes: must be at most 1048576`)
	_, err = JSON[func()](s, "status").PutIf(within(t), "x", 0, func() {})
	wantError(t, err, ErrInvalid, `status "x": json: unsupported type: func()`)
	must(r.PutIf(within(t), "x", 0, strings.Repeat("x", MaxRecord-2)))(t)
}

// PutAllIf writes either all records or none. It writes none if one of them has another version, and names that one.
func TestPutAllIf(t *testing.T) {
	r := JSON[int](open(t, Config{Dir: t.TempDir()}), "thing")
	at, err := r.PutAllIf(within(t), []PutOf[int]{{"a", 0, 1}, {"b", AnyVersion, 2}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.PutAllIf(within(t), []PutOf[int]{{"a", at, 3}, {"b", 0, 4}})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Name != "b" || conflict.Actual != at {
		t.Errorf("%v", err)
	}
	if got := must(r.Get(within(t), "a"))(t); got.Value != 1 || got.Version != at {
		t.Errorf("%+v", got)
	}
	if _, err := r.PutAllIf(within(t), nil); err != nil {
		t.Error(err)
	}
	many := make([]PutOf[int], MaxPuts+1)
	if _, err := r.PutAllIf(within(t), many); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "65 records of thing at once: must be at most 64") {
		t.Errorf("%v", err)
	}
}

// PutAll writes either all records or none. It writes none if one of the ownerships belongs to another holder.
func TestPutAll(t *testing.T) {
	s := embeddedStore(t)
	r := JSON[int](s, "status")
	held, lost := must(s.TryOwn(within(t), "switch", "a", "one"))(t), must(s.TryOwn(within(t), "switch", "b", "one"))(t)
	if err := r.PutAll(within(t), []Put[int]{{"a", 1, held}, {"b", 2, lost}}); err != nil {
		t.Fatal(err)
	}
	if err := r.PutAll(within(t), nil); err != nil {
		t.Error(err)
	}
	must(s.client.Delete(within(t), lost.key))(t) // the effect of an expired lease, before this process is notified
	err := r.PutAll(within(t), []Put[int]{{"a", 3, held}, {"b", 4, lost}})
	wantError(t, err, ErrLost, "write status: ")
	if !held.Held() || lost.Held() {
		t.Errorf("held %v, lost %v", held.Held(), lost.Held())
	}
	for name, want := range map[string]int{"a": 1, "b": 2} {
		if got := must(r.Get(within(t), name))(t); got.Value != want {
			t.Errorf("%s is %d, want %d", name, got.Value, want)
		}
	}
	err = r.PutAll(within(t), make([]Put[int], MaxPuts+1))
	wantError(t, err, ErrInvalid, "65 records of status at once: must be at most 64")
	large := JSON[string](s, "text")
	err = large.PutAll(within(t), []Put[string]{{"a", strings.Repeat("x", MaxRecord/2), held}, {"b", strings.Repeat("x", MaxRecord/2), held}})
	wantError(t, err, ErrInvalid, "2 records of text with more than 1048576 bytes together")
}

func TestDamagedRecord(t *testing.T) {
	s := embeddedStore(t)
	r := JSON[int](s, "hold")
	must(r.PutIf(within(t), "a", 0, 7))(t)
	must(s.client.Put(within(t), r.path+"a", "\xff"))(t)
	_, err := r.Get(within(t), "a")
	wantError(t, err, ErrCorrupt, `hold "a" at revision `)
}

func TestRecordsWatch(t *testing.T) {
	s := embeddedStore(t)
	p := behindProxy(t, s)
	far := open(t, Config{Endpoints: []string{p.endpoint()}})
	r := JSON[int](s, "status")
	ctx, cancel := context.WithCancel(t.Context())
	watch := JSON[int](far, "status").Watch(ctx)
	if first := receive(t, "of nothing", watch); len(first) != 0 {
		t.Errorf("told of %+v", first)
	}
	// The events always lead to the stored state, whatever slices they arrive in.
	state := make(map[string]int)
	follow := func(until func() bool) {
		t.Helper()
		for !until() {
			for _, e := range receive(t, "an event", watch) {
				if e.Deleted {
					delete(state, e.Name)
				} else {
					state[e.Name] = e.Value
				}
			}
		}
	}
	reaches := func(want map[string]int) func() bool { return func() bool { return cmp.Equal(state, want) } }
	a := must(r.PutIf(within(t), "a", 0, 1))(t)
	must(r.PutIf(within(t), "b", 0, 2))(t)
	follow(reaches(map[string]int{"a": 1, "b": 2}))
	if again := receive(t, "all there is", JSON[int](far, "status").Watch(ctx)); len(again) != 2 || again[0].Name != "a" || again[0].Version != a {
		t.Errorf("told of %+v", again)
	}
	if err := r.Delete(within(t), "a", a); err != nil {
		t.Fatal(err)
	}
	must(r.PutIf(within(t), "b", AnyVersion, 3))(t)
	follow(reaches(map[string]int{"b": 3}))
	// While the connection is lost, a record is created, another record is deleted, and the changes are compacted.
	p.stall()
	must(r.PutIf(within(t), "c", 0, 4))(t)
	if err := r.Delete(within(t), "b", AnyVersion); err != nil {
		t.Fatal(err)
	}
	must(s.client.Compact(within(t), raw(t, s, r.path).Header.Revision, clientv3.WithCompactPhysical()))(t)
	p.cut()
	p.flow()
	follow(reaches(map[string]int{"c": 4}))
	// An unreadable record is reported and does not end the watch.
	must(s.client.Put(within(t), r.path+"d", "x"))(t)
	if bad := receive(t, "a bad one", watch); len(bad) != 1 || bad[0].Name != "d" || !errors.Is(bad[0].Err, ErrCorrupt) {
		t.Errorf("told of %+v", bad)
	}
	cancel()
	closed(t, "ended by its context", watch)
}

// A slow receiver gets each record once, in its newest state.
func TestRecordsWatchGathers(t *testing.T) {
	s := embeddedStore(t)
	r := JSON[int](s, "status")
	box := &eventBox[int]{r: r, known: make(map[string]int64), at: make(map[string]int)}
	for i := range 10 {
		must(r.PutIf(within(t), "a", AnyVersion, i))(t)
		must(r.PutIf(within(t), fmt.Sprint("b", i), 0, i))(t)
		resp := raw(t, s, r.path, clientv3.WithPrefix())
		if !box.merge(update{whole: i%2 == 0, rev: resp.Header.Revision, kvs: resp.Kvs}) {
			t.Fatal("nothing to tell")
		}
	}
	got := box.value()
	if i := slices.IndexFunc(got, func(e Event[int]) bool { return e.Name == "a" }); len(got) != 11 || got[i].Value != 9 {
		t.Errorf("told of %+v", got)
	}
	box.sent()
	if box.merge(update{whole: true, kvs: raw(t, s, r.path, clientv3.WithPrefix()).Kvs}) {
		t.Errorf("told again of %+v", box.value())
	}
	// A record was put and deleted before the watch reported it.
	gone := []Event[int]{{Record: Record[int]{Name: "c"}, Deleted: true}}
	if !box.merge(update{gone: map[string]struct{}{r.path + "c": {}}}) || !slices.Equal(box.value(), gone) {
		t.Errorf("told of %+v, want %+v", box.value(), gone)
	}
}

// If one response has several changes of a key, the last change counts.
func TestChanges(t *testing.T) {
	event := func(kind mvccpb.Event_EventType, key, value string) *clientv3.Event {
		return (*clientv3.Event)(&mvccpb.Event{Type: kind, Kv: &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value)}})
	}
	u := changes(clientv3.WatchResponse{Header: &etcdserverpb.ResponseHeader{Revision: 7}, Events: []*clientv3.Event{
		event(mvccpb.Event_PUT, "a", "1"), event(mvccpb.Event_DELETE, "a", ""),
		event(mvccpb.Event_DELETE, "b", ""), event(mvccpb.Event_PUT, "b", "2"),
		event(mvccpb.Event_PUT, "c", "3"), event(mvccpb.Event_PUT, "c", "4"),
	}})
	var put []string
	for _, kv := range u.kvs {
		put = append(put, string(kv.Key)+string(kv.Value))
	}
	if _, gone := u.gone["a"]; !slices.Equal(put, []string{"b2", "c4"}) || len(u.gone) != 1 || !gone || u.rev != 7 || u.whole {
		t.Errorf("put %v, gone %v, at %d, whole %v", put, u.gone, u.rev, u.whole)
	}
}

func TestMembers(t *testing.T) {
	s := embeddedStore(t)
	p := behindProxy(t, s)
	far := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: minTTL})
	watch := s.WatchMembers(t.Context())
	follow := func(want ...Member) {
		t.Helper()
		for {
			if got := receive(t, fmt.Sprint("members ", want), watch); slices.Equal(got, want) {
				return
			}
		}
	}
	follow()
	one, two := Member{"noc-1", "10.0.0.1:443"}, Member{"noc-2", "10.0.0.2:443"}
	first := must(s.Join(within(t), one.Name, one.Value))(t)
	must(far.Join(within(t), two.Name, two.Value))(t)
	follow(one, two)
	if got := must(s.Members(within(t)))(t); !slices.Equal(got, []Member{one, two}) {
		t.Errorf("members %v", got)
	}
	p.stall()
	follow(one) // the lease of noc-2 has expired
	p.flow()
	follow(one, two) // noc-2 has joined again by itself
	if err := first.Leave(within(t)); err != nil {
		t.Fatal(err)
	}
	follow(two)
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	follow()
	_, err := s.Join(within(t), "", "")
	wantError(t, err, ErrInvalid, `name "" of member: must be`)
}

// A controller that restarts does not wait for the end of its earlier process. It stays present when the earlier process
// leaves.
func TestMemberComesBack(t *testing.T) {
	a := embeddedStore(t)
	b := beside(t, a)
	past := must(a.Join(within(t), "noc-1", "old"))(t)
	must(b.Join(within(t), "noc-1", "new"))(t)
	if err := past.Leave(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := must(a.Members(within(t)))(t); !slices.Equal(got, []Member{{"noc-1", "new"}}) {
		t.Errorf("members %v", got)
	}
}
