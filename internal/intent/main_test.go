package intent

import (
	"bytes"
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/examples"
	"op25b/internal/store"
	"op25b/internal/strict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func open(t testing.TB) *store.Store {
	t.Helper()
	s := must(store.Open(within(t), store.Config{Dir: t.TempDir()}))(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// august is a time in the phase "mobile-carriers" of the worked example.
var august = time.Date(2006, 8, 1, 12, 0, 0, 0, time.UTC)

func book(s *store.Store) *Book { return NewBook(s, func() time.Time { return august }) }

var by = By{Who: "alice", Role: "operator", Reason: "test"}

func apply(t testing.TB, b *Book, files []strict.File) *Intent {
	t.Helper()
	return must(b.Put(within(t), must(b.Propose(within(t), files))(t), by))(t)
}

// edited returns the worked example with a text replaced.
func edited(t testing.TB, old, now string) []strict.File {
	t.Helper()
	files := examples.SpinNet2006()
	found := false
	for i, f := range files {
		found = found || bytes.Contains(f.Data, []byte(old))
		files[i].Data = bytes.ReplaceAll(f.Data, []byte(old), []byte(now))
	}
	if !found {
		t.Fatalf("the example has no %q", old)
	}
	return files
}

func inForce(t testing.TB, in *Intent) string {
	t.Helper()
	return must(in.InForce("edge-1", august))(t).String()
}
