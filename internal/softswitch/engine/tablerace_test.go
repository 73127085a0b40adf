package engine

import (
	"fmt"
	"sync"
	"testing"
)

// TestWritesBesidePackets verifies that, while two workers run, no packet sees a half-completed
// change.
func TestWritesBesidePackets(t *testing.T) {
	e := tableProgram("exact", l{key("exact", "h", "a")}, nil).load(t, Options{})
	tb, _ := e.Table("t")
	mustInsert(t, tb, Entry{Matches: []Match{{Value: []byte{1}}}, Action: ActionCall{"wide", [][]byte{{1}, {1}}}})
	var wg sync.WaitGroup
	for range 2 {
		w := e.NewWorker()
		wg.Go(func() {
			for range 2000 {
				w.Process(1, []byte("\x00\x01\x00\x00"+tail), func(port uint32, f []byte) {
					if byte(port) != f[12] {
						t.Errorf("port %d with value %d: half of an entry", port, f[12])
					}
				})
			}
			w.Close()
		})
	}
	for i := range 500 {
		v := []byte{byte(i%250 + 1)}
		if err := tb.Modify(Entry{Matches: []Match{{Value: []byte{1}}}, Action: ActionCall{"wide", [][]byte{v, v}}}); err != nil {
			t.Fatal(err)
		}
		mustInsert(t, tb, Entry{Matches: []Match{{Value: []byte{2, byte(i)}}}, Action: fwdTo(1)})
		if err := tb.Delete([]Match{{Value: []byte{2, byte(i)}}}, 0); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if s := e.Stats(); s.In != 4000 || s.Out != 4000 {
		t.Errorf("%+v", s)
	}
}

func TestTableErrorsSayWhat(t *testing.T) {
	e := tableProgram("exact", l{key("exact", "h", "a")}, nil).load(t, Options{})
	tb, _ := e.Table("t")
	err := tb.Insert(Entry{Matches: []Match{{Value: []byte{9, 9, 9}}}, Action: fwdTo(1)})
	if want := `table "t": field "h.a": invalid: value 0x090909 takes 20 bits, the field has 16`; fmt.Sprint(err) != want {
		t.Errorf("got %q, want %q", err, want)
	}
	err = tb.Insert(Entry{Matches: []Match{{Value: []byte{9}}}, Action: ActionCall{"nope", nil}})
	if want := `table "t": invalid: action "nope", must be one of fwd, wide, none`; fmt.Sprint(err) != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
