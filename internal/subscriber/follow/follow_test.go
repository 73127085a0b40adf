package follow

import (
	"slices"
	"testing"
)

// TestFollowers verifies that each follower gets the changed lines of its switch once, and gets no more after its end.
func TestFollowers(t *testing.T) {
	var f Followers
	f.Changed("edge-1", "line-0") // nobody follows
	news, other := make(chan struct{}, 1), make(chan struct{}, 1)
	take, stop := f.Follow("edge-1", news)
	takeOther, stopOther := f.Follow("edge-2", other)
	defer stopOther()
	f.Changed("edge-1", "line-1")
	expect := func(take func() ([]string, bool), news chan struct{}, wantAll bool, want ...string) {
		t.Helper()
		lines, all := take()
		slices.Sort(lines)
		if all != wantAll || !slices.Equal(lines, want) {
			t.Errorf("%v, all %v; want %v, %v", lines, all, want, wantAll)
		}
		if told := len(news) > 0; told != (wantAll || len(want) > 0) {
			t.Errorf("news %v with %v, all %v", told, lines, all)
		}
		for len(news) > 0 {
			<-news
		}
	}
	expect(take, news, true) // the first time, all lines
	expect(takeOther, other, true)
	expect(take, news, false)
	for range 3 {
		f.Changed("edge-1", "line-1")
		f.Changed("edge-1", "line-2")
	}
	expect(take, news, false, "line-1", "line-2")
	expect(takeOther, other, false)
	f.Changed("edge-1", "line-1")
	f.ChangedAll()
	expect(take, news, true)
	expect(takeOther, other, true)
	every := make(chan struct{}, 1)
	takeEvery, stopEvery := f.Follow(Every, every)
	expect(takeEvery, every, true)
	f.Changed("edge-1", "line-1")
	f.Changed("edge-2", "line-3")
	expect(takeEvery, every, false, "line-1", "line-3")
	expect(takeOther, other, false, "line-3")
	stopEvery()
	stop()
	f.Changed("edge-1", "line-1")
	expect(takeEvery, every, false)
	take()
	if len(f.by) != 1 {
		t.Errorf("%d switches are followed", len(f.by))
	}
}
