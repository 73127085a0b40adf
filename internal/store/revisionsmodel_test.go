package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestIntentModel verifies that the history behaves like a list of maps.
func TestIntentModel(t *testing.T) {
	etcd := embeddedStore(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		const kept = 4
		s, err := Open(context.Background(), Config{Endpoints: etcd.Endpoints(), Prefix: fmt.Sprintf("/model/%d/", run), History: kept})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rs, ctx := s.Revisions(), context.Background()
		model := []map[string][]byte{{}}
		documents := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b/c", "d"}), rapid.SliceOfN(rapid.Byte(), 0, 3), 1, 3)
		head := func() uint64 { return uint64(len(model) - 1) }
		isKept := func(n uint64) bool { return n > 0 && n <= head() && n+kept > head() }
		made := func(t *rapid.T, r Revision, err error, base uint64, documents map[string][]byte) {
			switch same := head() > 0 && maps.EqualFunc(documents, model[head()], bytes.Equal); {
			case base != head():
				var stale *StaleError
				if !errors.As(err, &stale) || stale.Base != base || stale.Current != head() {
					t.Fatalf("on %d while at %d: %v", base, head(), err)
				}
			case same && !errors.Is(err, ErrUnchanged):
				t.Fatalf("no change: %v", err)
			case same:
			case err != nil || r.Number != head()+1:
				t.Fatalf("revision %d, %v", r.Number, err)
			default:
				model = append(model, documents)
			}
		}
		near := rapid.Custom(func(t *rapid.T) uint64 {
			return rapid.OneOf(rapid.Just(head()), rapid.Uint64Range(0, head()+1)).Draw(t, "near")
		})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				base, d := near.Draw(t, "base"), documents.Draw(t, "documents")
				r, err := rs.Put(ctx, Change{Base: base, Author: "a", Reason: "r", Documents: d}, AuditRecord{Who: "a", Verb: "put"})
				made(t, r, err, base, d)
			},
			"restore": func(t *rapid.T) {
				base, n := near.Draw(t, "base"), rapid.Uint64Range(1, head()+1).Draw(t, "revision")
				r, err := restore(ctx, rs, n, Change{Base: base, Author: "a", Reason: "r"}, AuditRecord{Who: "a", Verb: "restore"})
				if !isKept(n) {
					if !errors.Is(err, ErrNotFound) {
						t.Fatalf("restore %d at %d: %v", n, head(), err)
					}
					return
				}
				made(t, r, err, base, model[n])
			},
			"sweep": func(t *rapid.T) {
				if _, err := rs.sweep(ctx); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				n := near.Draw(t, "at")
				snap, err := rs.At(ctx, n)
				if n > 0 && !isKept(n) {
					if !errors.Is(err, ErrNotFound) {
						t.Fatalf("at %d of %d: %v", n, head(), err)
					}
					return
				}
				if err != nil || !maps.EqualFunc(snap.Documents, model[n], bytes.Equal) {
					t.Fatalf("at %d: %q, %v; want %q", n, snap.Documents, err, model[n])
				}
			},
		})
		// The audit chain has one record for every change, and no others.
		if h, err := s.Audit().Verify(ctx); err != nil || h.Seq != head() {
			t.Fatalf("%d audit records, %v, of %d changes", h.Seq, err, head())
		}
	})
}
