package p4rtserver

import (
	"testing"
	"testing/synctest"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// A digestBench is a digester that runs on the clock of a synctest bubble. Its primary records the
// lists.
type digestBench struct {
	*digester
	lists  []*p4v1.DigestList
	absent bool // there is no primary
	done   chan struct{}
}

const benchDigest = 0x17000001

func newDigestBench(t *testing.T, c *p4v1.DigestEntry_Config) *digestBench {
	b := &digestBench{done: make(chan struct{})}
	b.digester = newDigester(time.Now, func(l *p4v1.DigestList) bool {
		if !b.absent {
			b.lists = append(b.lists, l)
		}
		return !b.absent
	})
	b.add(&digest{id: benchDigest, name: "learn", data: &dataType{kind: dataBit, width: 8}})
	if err := b.configure(p4v1.Update_INSERT, &p4v1.DigestEntry{DigestId: benchDigest, Config: c}); err != nil {
		t.Fatal(err)
	}
	go b.run(b.done)
	t.Cleanup(func() { close(b.done) })
	synctest.Wait()
	return b
}

func (b *digestBench) learnAll(keys string) {
	for _, k := range keys {
		b.learn(benchDigest, string(k), &p4v1.P4Data{Data: &p4v1.P4Data_Bitstring{Bitstring: []byte{byte(k)}}})
	}
	synctest.Wait()
}

// after advances the bubble's clock.
func (b *digestBench) after(d time.Duration) {
	time.Sleep(d) // sleeps on the bubble's clock
	synctest.Wait()
}

// got returns the lists since the last call, each as one string.
func (b *digestBench) got() []string {
	b.mu.Lock() // mu is held while lists are delivered
	defer b.mu.Unlock()
	var out []string
	for _, l := range b.lists {
		s := ""
		for _, d := range l.Data {
			s += string(d.GetBitstring())
		}
		out = append(out, s)
	}
	b.lists = nil
	return out
}

func (b *digestBench) want(t *testing.T, lists ...string) {
	t.Helper()
	got := b.got()
	if len(got) != len(lists) {
		t.Fatalf("lists %q, want %q", got, lists)
	}
	for i := range got {
		if got[i] != lists[i] {
			t.Fatalf("lists %q, want %q", got, lists)
		}
	}
}

const ms = time.Millisecond

func config(timeout, ack time.Duration, size int32) *p4v1.DigestEntry_Config {
	return &p4v1.DigestEntry_Config{MaxTimeoutNs: int64(timeout), AckTimeoutNs: int64(ack), MaxListSize: size}
}

// TestDigests checks spec 9.8.
func TestDigests(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config *p4v1.DigestEntry_Config
		play   func(t *testing.T, b *digestBench)
	}{
		{"a list is sent when it is full", config(time.Hour, time.Hour, 3), func(t *testing.T, b *digestBench) {
			b.learnAll("abcde")
			b.want(t, "abc")
			b.learnAll("f")
			b.want(t, "def")
		}},
		{"and when its oldest digest has waited long enough", config(10*ms, time.Hour, 100), func(t *testing.T, b *digestBench) {
			b.learnAll("a")
			b.after(6 * ms)
			b.learnAll("b")
			b.after(3 * ms)
			b.want(t)
			b.after(1 * ms)
			b.want(t, "ab")
			b.learnAll("c") // the wait starts again
			b.after(9 * ms)
			b.want(t)
			b.after(1 * ms)
			b.want(t, "c")
		}},
		{"at once when max_timeout_ns is 0", config(0, time.Hour, 100), func(t *testing.T, b *digestBench) {
			b.learnAll("ab")
			b.want(t, "a", "b")
		}},
		{"at once when max_list_size is 1", config(time.Hour, time.Hour, 1), func(t *testing.T, b *digestBench) {
			b.learnAll("ab")
			b.want(t, "a", "b")
		}},
		{"any size when max_list_size is 0", config(10*ms, time.Hour, 0), func(t *testing.T, b *digestBench) {
			b.learnAll("abcdefgh")
			b.after(10 * ms)
			b.want(t, "abcdefgh")
		}},
		{"no duplicates in a list", config(10*ms, time.Hour, 100), func(t *testing.T, b *digestBench) {
			b.learnAll("abab")
			b.after(10 * ms)
			b.want(t, "ab")
		}},
		{"nor of what is not acknowledged", config(0, time.Hour, 1), func(t *testing.T, b *digestBench) {
			b.learnAll("a")
			list := b.lists[0].ListId
			b.want(t, "a")
			b.learnAll("a")
			b.want(t)
			if err := b.ack(benchDigest, list+1); err != nil { // not the list that was sent
				t.Fatal(err)
			}
			b.learnAll("a")
			b.want(t)
			if err := b.ack(benchDigest, list); err != nil {
				t.Fatal(err)
			}
			b.learnAll("a")
			b.want(t, "a")
		}},
		{"until ack_timeout_ns is over", config(0, 50*ms, 1), func(t *testing.T, b *digestBench) {
			b.learnAll("a")
			b.after(49 * ms)
			b.learnAll("a")
			b.want(t, "a")
			b.after(1 * ms)
			b.learnAll("a")
			b.want(t, "a")
		}},
		{"never remembered when ack_timeout_ns is 0", config(0, 0, 1), func(t *testing.T, b *digestBench) {
			b.learnAll("aa")
			b.want(t, "a", "a")
		}},
		{"forgotten for a new primary", config(0, time.Hour, 1), func(t *testing.T, b *digestBench) {
			b.learnAll("a")
			b.forget()
			b.learnAll("a")
			b.want(t, "a", "a")
		}},
		{"not remembered when nobody got it", config(0, time.Hour, 1), func(t *testing.T, b *digestBench) {
			b.absent = true
			b.learnAll("a")
			if n := b.unsent.Load(); n != 1 {
				t.Errorf("%d digests counted as unsent, want 1", n)
			}
			b.absent = false
			b.learnAll("a")
			b.want(t, "a")
		}},
		{"lists are numbered", config(0, time.Hour, 1), func(t *testing.T, b *digestBench) {
			b.learnAll("ab")
			if x, y := b.lists[0].ListId, b.lists[1].ListId; x != 1 || y != 2 {
				t.Errorf("list ids %d, %d, want 1, 2", x, y)
			}
			if ts := b.lists[0].Timestamp; ts != time.Now().UnixNano() {
				t.Errorf("timestamp %d, want now", ts)
			}
		}},
		{"a MODIFY changes the limits at once", config(time.Hour, time.Hour, 100), func(t *testing.T, b *digestBench) {
			b.learnAll("ab")
			b.after(20 * ms)
			if err := b.configure(p4v1.Update_MODIFY, &p4v1.DigestEntry{DigestId: benchDigest, Config: config(30*ms, 0, 100)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			b.want(t)
			b.after(10 * ms)
			b.want(t, "ab")
		}},
		{"a DELETE drops what waits", config(10*ms, time.Hour, 100), func(t *testing.T, b *digestBench) {
			b.learnAll("a")
			if err := b.configure(p4v1.Update_DELETE, &p4v1.DigestEntry{DigestId: benchDigest}); err != nil {
				t.Fatal(err)
			}
			b.learnAll("b")
			b.after(time.Hour)
			b.want(t)
		}},
		{"what is remembered is bounded", config(0, time.Hour, 1), func(t *testing.T, b *digestBench) {
			for i := range maxUnacked + 1 {
				b.learn(benchDigest, string(rune(0x10000+i)), &p4v1.P4Data{})
			}
			b.lists = nil
			in := b.instances[benchDigest]
			if in.unacked != maxUnacked || len(in.known) != maxUnacked {
				t.Errorf("%d unacknowledged, %d known, want %d", in.unacked, len(in.known), maxUnacked)
			}
			b.learn(benchDigest, string(rune(0x10000)), &p4v1.P4Data{}) // the oldest digest is reported again
			if len(b.lists) != 1 {
				t.Errorf("%d lists, want 1", len(b.lists))
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tc.play(t, newDigestBench(t, tc.config)) })
		})
	}
}

func TestDigestEntryRefused(t *testing.T) {
	d := newDigester(time.Now, nil)
	d.add(&digest{id: 1, name: "on"})
	d.add(&digest{id: 2, name: "off"})
	if err := d.configure(p4v1.Update_INSERT, &p4v1.DigestEntry{DigestId: 1}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		op      p4v1.Update_Type
		entry   *p4v1.DigestEntry
		code    codes.Code
		message string
	}{
		{p4v1.Update_INSERT, &p4v1.DigestEntry{DigestId: 1}, codes.AlreadyExists, `digest "on": already enabled; MODIFY changes it`},
		{p4v1.Update_MODIFY, &p4v1.DigestEntry{DigestId: 2}, codes.NotFound, `digest "off": not enabled; INSERT enables it`},
		{p4v1.Update_DELETE, &p4v1.DigestEntry{DigestId: 2}, codes.NotFound, `digest "off": not enabled; INSERT enables it`},
		{p4v1.Update_INSERT, &p4v1.DigestEntry{DigestId: 9}, codes.InvalidArgument, "digest id 9: not in the P4Info"},
		{
			p4v1.Update_MODIFY, &p4v1.DigestEntry{DigestId: 1, Config: config(-1, 0, 0)}, codes.InvalidArgument,
			`digest "on": config: max_timeout_ns -1, max_list_size 0, ack_timeout_ns 0: none may be negative`,
		},
	} {
		wantStatus(t, d.configure(tc.op, tc.entry), tc.code, tc.message)
	}
	wantStatus(t, d.ack(9, 1), codes.InvalidArgument, "digest id 9: not in the P4Info")
	if e := d.entry(1); e.GetConfig().GetMaxTimeoutNs() != 0 {
		t.Errorf("a refused MODIFY changed the configuration: %v", e)
	}
}
