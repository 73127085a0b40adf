package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const smallQuota = 24 << 20

// noise returns content that cannot be compressed. Each call returns different content.
func noise(random *rand.ChaCha8, bytes int) []byte {
	content := make([]byte, bytes)
	_, _ = random.Read(content)
	return content
}

// fillOrdinary changes documents until the store refuses a change. It returns the last revision and the error.
func fillOrdinary(t testing.TB, s *Store) (uint64, error) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	head := must(s.Revisions().Head(within(t)))(t).Number
	for range 1000 {
		documents := map[string][]byte{"a": noise(random, 1<<20)}
		if _, err := s.Revisions().Put(within(t), Change{Base: head, Author: "a", Reason: "r", Documents: documents}); err != nil {
			return head, err
		}
		head++
	}
	t.Fatal("never full")
	return 0, nil
}

// fillToAlarm writes directly to etcd until etcd refuses. The state is the same as after a release of op25b that had no reserve.
func fillToAlarm(t testing.TB, s *Store) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{2})
	for i := range 1000 {
		if _, err := s.client.Put(within(t), s.key(fmt.Sprintf("junk/%d", i)), string(noise(random, 256<<10))); err != nil {
			if !errors.Is(err, rpctypes.ErrNoSpace) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no alarm")
}

// Ordinary changes are refused before the quota is reached. The remaining part is for changes of phase, rollbacks, restores, ownerships
// and statuses, which never raise etcd's own alarm.
func TestReserve(t *testing.T) { // I12, I13
	core, logs := observer.New(zap.InfoLevel)
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Quota: smallQuota, Logger: zap.New(core)})
	put(t, s.Revisions(), 0, docs("phase", "0"))
	first := must(s.TryOwn(within(t), "switch", "a", "noc"))(t)
	last, err := fillOrdinary(t, s)
	wantError(t, err, ErrFull, "put intent: store is full: 1.1 MiB more do not fit: ")
	wantError(t, err, ErrFull, "of a quota of 24.0 MiB, of which ordinary changes may use 21.0 MiB; nothing was stored. "+
		"Move the audit chain out with op25b audit archive FILE, or start op25b serve with a larger --quota")
	if head := must(s.Revisions().Head(within(t)))(t); head.Number != last {
		t.Errorf("the refused change made revision %d of %d", head.Number, last)
	}
	records := 0
	for ; err == nil || records == 0; records++ { // small changes succeed until they reach the limit too
		_, err = s.Audit().Append(within(t), AuditRecord{Who: "a", Verb: "refused apply", Detail: strings.Repeat("x", MaxDetail)})
	}
	wantError(t, err, ErrFull, "append audit record: store is full: 0.0 MiB more do not fit")
	if sp := s.Space(within(t)); !sp.Full() || sp.ReadOnly || !strings.HasPrefix(sp.Warning(), "the store is full: ") {
		t.Errorf("the space is %+v: %s", sp, sp.Warning())
	}
	s.tellSpace(s.Space(within(t)))
	if logs.FilterMessageSnippet("the store is full: ").Len() != 1 {
		t.Errorf("the log has %v", logs.All())
	}
	for i := range 50 {
		last++
		c := Change{
			Base: last - 1, Author: "a", Reason: "r", KeepOthers: true, Reserved: true,
			Documents: docs("phase", fmt.Sprint(i)),
		}
		must(s.Revisions().Put(within(t), c, AuditRecord{Who: "a", Verb: "activate"}))(t)
		must(JSON[string](s, "status").PutIf(within(t), "a", AnyVersion, fmt.Sprint(i), first))(t)
	}
	must(restore(within(t), s.Revisions(), 1, Change{Base: last, Author: "a", Reason: "r"}))(t)
	if err := first.Release(within(t)); err != nil {
		t.Error(err)
	}
	must(s.TryOwn(within(t), "switch", "b", "noc"))(t)
	must(s.Join(within(t), "noc", "here"))(t)
	if sp := s.Space(within(t)); sp.ReadOnly {
		t.Errorf("etcd's alarm was raised: %v", sp)
	}
	must(s.Audit().Verify(within(t)))(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir, Quota: 8 * smallQuota})
	if sp := s.Space(within(t)); sp.Warning() != "" {
		t.Errorf("with a larger quota: %s", sp.Warning())
	}
	put(t, s.Revisions(), last+1, docs("a", "1"))
}

// The space of deleted and old content is used again, without a restart.
func TestRoomIsMade(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), Quota: smallQuota})
	random := rand.NewChaCha8([32]byte{3})
	records := JSON[[]byte](s, "junk")
	for i := range 200 { // 75 MiB in total; each write replaces the previous one
		must(records.PutIf(within(t), "one", AnyVersion, noise(random, 384<<10)))(t)
		if i%4 == 3 {
			must(s.Audit().Append(within(t), AuditRecord{Who: "a", Verb: "b"}))(t)
		}
	}
	if sp := s.Space(within(t)); sp.ReadOnly || sp.Full() {
		t.Errorf("the space is %v", sp)
	}
}

// A store for which etcd has raised its alarm can be opened. It reports what to do, accepts changes of phase, and accepts ordinary changes
// when there is room again.
func TestFullStoreOpens(t *testing.T) { // I13
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Quota: smallQuota})
	put(t, s.Revisions(), 0, docs("phase", "0"))
	fillToAlarm(t, s)
	if sp := s.Space(within(t)); !sp.ReadOnly || !strings.HasPrefix(sp.Warning(), "the store is read-only: ") {
		t.Errorf("the space is %v: %s", sp, sp.Warning())
	}
	_, err := s.Audit().Append(within(t), AuditRecord{Who: "a", Verb: "b"})
	wantError(t, err, ErrFull, "append audit record: store is full: ")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for base := range uint64(3) { // each start finds the store as the previous start left it
		s = open(t, Config{Dir: dir, Quota: smallQuota})
		if sp := s.Space(within(t)); sp.ReadOnly || !sp.Full() {
			t.Errorf("the space is %+v: %s", sp, sp.Warning())
		}
		_, err = s.Revisions().Put(within(t), Change{Base: base + 1, Author: "a", Reason: "r", Documents: docs("a", "1")})
		wantError(t, err, ErrFull, "put intent: store is full: ")
		c := Change{Base: base + 1, Author: "a", Reason: "r", Documents: docs("phase", fmt.Sprint(base, 1)), KeepOthers: true, Reserved: true}
		must(s.Revisions().Put(within(t), c, AuditRecord{Who: "a", Verb: "activate"}))(t)
		must(s.TryOwn(within(t), "switch", "a", "noc"))(t)
		if base < 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 1000 {
		must(s.client.Delete(within(t), s.key(fmt.Sprintf("junk/%d", i))))(t)
	}
	put(t, s.Revisions(), 4, docs("a", "1"))
}

// A read that is in progress while room is made keeps the freed pages in use. settle waits until the read ends, and the pages then count
// as free.
func TestSettleWaitsForReads(t *testing.T) { // I13
	s := open(t, Config{Dir: t.TempDir(), Quota: smallQuota})
	random := rand.NewChaCha8([32]byte{4})
	for i := range 40 {
		must(s.client.Put(within(t), s.key(fmt.Sprintf("junk/%d", i)), string(noise(random, 256<<10))))(t)
	}
	s.server.commit()
	read := s.server.etcd.Server.Backend().ConcurrentReadTx()
	read.RLock()
	deleted := must(s.client.Delete(within(t), s.key("junk/"), clientv3.WithPrefix()))(t).Header.Revision
	must(s.client.Compact(within(t), deleted, clientv3.WithCompactPhysical()))(t)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		s.server.settle(within(t))
	}()
	select {
	case <-settled:
		t.Error("settle did not wait for the read")
	case <-time.After(100 * time.Millisecond):
	}
	read.RUnlock()
	<-settled
	if sp := s.Space(within(t)); sp.InUse > 2<<20 {
		t.Errorf("the space is %v after 10 MiB were deleted", sp)
	}
}

// If a write that was in progress raises the alarm after room was made, the next change clears the alarm.
func TestAlarmAfterRoomWasMade(t *testing.T) { // I13
	s := open(t, Config{Dir: t.TempDir(), Quota: smallQuota})
	put(t, s.Revisions(), 0, docs("phase", "0"))
	s.makeRoom(within(t), 0)
	conn := must(s.client.Dial(s.endpoints[0]))(t)
	defer conn.Close()
	must(etcdserverpb.NewMaintenanceClient(conn).Alarm(within(t), &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, Alarm: etcdserverpb.AlarmType_NOSPACE, MemberID: uint64(s.server.etcd.Server.MemberID()),
	}))(t)
	if !s.Space(within(t)).ReadOnly {
		t.Fatal("there is no alarm")
	}
	put(t, s.Revisions(), 1, docs("phase", "1"))
	if sp := s.Space(within(t)); sp.ReadOnly {
		t.Errorf("the space is %v", sp)
	}
}

// An external cluster reports its sizes and its alarm.
func TestSpaceOfCluster(t *testing.T) {
	etcd := open(t, Config{Dir: t.TempDir(), Quota: smallQuota})
	s := open(t, Config{Endpoints: etcd.Endpoints()})
	put(t, s.Revisions(), 0, docs("a", "1"))
	sp := s.Space(within(t))
	if sp.Quota != etcd.server.hard || sp.Used == 0 || sp.InUse == 0 || !sp.External || sp.Warning() != "" {
		t.Errorf("the space is %+v", sp)
	}
	fillToAlarm(t, etcd)
	s.keeper.at = s.keeper.at.Add(-lookAgain)
	if sp := s.Space(within(t)); !sp.ReadOnly || !strings.HasSuffix(sp.Warning(),
		"Raise the cluster's --quota-backend-bytes or compact and defragment it, and disarm its alarm") {
		t.Errorf("the space is %+v: %s", sp, sp.Warning())
	}
	_, err := s.Revisions().Put(within(t), Change{Base: 1, Author: "a", Reason: "r", Documents: docs("a", "2")})
	wantError(t, err, ErrFull, "put intent: store is full: ")
}

func TestSpaceWarns(t *testing.T) {
	for _, c := range []struct {
		space Space
		want  string
	}{
		{Space{}, ""},
		{Space{Used: 190 << 20, InUse: 190 << 20, Quota: 256 << 20, Hard: 256 << 20}, ""},
		{Space{Used: 250 << 20, InUse: 100 << 20, Quota: 256 << 20, Hard: 256 << 20}, "the store is full"}, // full until the file is defragmented
		{Space{Used: 210 << 20, InUse: 205 << 20, Quota: 256 << 20, Hard: 256 << 20}, "the store is nearly full"},
		{Space{Used: 224 << 20, InUse: 224 << 20, Quota: 256 << 20, Hard: 256 << 20}, "the store is full"},
		{Space{Used: 300 << 20, InUse: 300 << 20, Quota: 256 << 20, Hard: 332 << 20}, "the store is full"},
		{Space{Used: 10 << 20, InUse: 10 << 20, Quota: 256 << 20, Hard: 256 << 20, ReadOnly: true}, "the store is read-only"},
	} {
		if got, _, _ := strings.Cut(c.space.Warning(), ":"); got != c.want {
			t.Errorf("%+v: %q, want %q", c.space, got, c.want)
		}
	}
}
