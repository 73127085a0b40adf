package web_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/client"
	"op25b/internal/controller"
	op25bv1 "op25b/proto/op25b/v1"
)

// pageOf returns a page of a site with a fake API, in a language.
func pageOf(t *testing.T, f *fakeAPI, path, lang string) string {
	t.Helper()
	base := serve(t, siteOf(t, f))
	res, page := newBrowser(t, base).get(path, "Accept-Language", lang)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d\n%s", path, res.StatusCode, page)
	}
	return page
}

// TestCountedLately verifies the counts of the last hour and day, which the API gives for a time from now back.
func TestCountedLately(t *testing.T) {
	now := time.Date(2006, 12, 2, 12, 0, 0, 0, time.UTC)
	rule := func(name string, packets uint64) *op25bv1.RuleCounters {
		return &op25bv1.RuleCounters{Rule: name, Leg: "up_dst", Phase: "before", Packets: packets}
	}
	for _, c := range []struct {
		name           string
		hour, day      time.Duration // what was recorded
		ofHour, ofDay  []*op25bv1.RuleCounters
		err            error
		en, ja, absent []string
	}{
		{
			name: "all recorded", hour: time.Hour, day: 24 * time.Hour,
			ofHour: []*op25bv1.RuleCounters{rule("smtp-all", 12)}, ofDay: []*op25bv1.RuleCounters{rule("smtp-all", 34567), rule("relay", 8)},
			en: []string{
				`<th scope="row">smtp-all</th><td>up_dst</td><td>before</td><td class="n">12</td><td class="n">34,567</td>`,
				`<th scope="row">relay</th><td>up_dst</td><td>before</td><td class="n">0</td><td class="n">8</td>`,
				"Last hour: all of it was recorded.", "Last 24 hours: all of it was recorded.",
			},
			ja: []string{"直近1時間：すべて記録されています。"},
		},
		{
			name: "a part recorded", hour: 0, day: 5*time.Hour + 20*time.Minute, ofDay: []*op25bv1.RuleCounters{rule("smtp-all", 3)},
			en: []string{
				`<td class="n">-</td><td class="n">3</td>`, "Last hour: nothing was recorded.",
				"Last 24 hours: 5 h 20 min of 24 h were recorded. What was counted in the rest may be missing.",
			},
			ja: []string{"直近24時間：24時間のうち5時間20分が記録されています。"},
		},
		{
			name: "nothing counted", hour: 59 * time.Minute, day: time.Hour,
			en: []string{"No rule counted a packet in the recorded time.", "Last hour: 59 min of 1 h were recorded."},
			ja: []string{"直近1時間：1時間のうち59分が記録されています。"},
		},
		{
			name: "nothing recorded", en: []string{"Last 24 hours: nothing was recorded."}, ja: []string{"直近24時間：記録がありません。"},
			absent: []string{"No rule counted", "パケットはありません"},
		},
		{
			name: "no history", err: connect.NewError(connect.CodeFailedPrecondition, errors.New("no history")),
			en: []string{"This controller keeps no history of counters"}, ja: []string{"履歴を保存していません"},
		},
		{name: "no answer", err: connect.NewError(connect.CodeUnavailable, errors.New("later")), absent: []string{"h-counted"}, en: []string{"h-counters"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeAPI{
				now:    func() time.Time { return now },
				phases: &op25bv1.ListPhasesResponse{Revision: 1, UtcOffset: "+09:00"},
				list:   &op25bv1.ListSwitchesResponse{Revision: 1, Switches: []*op25bv1.SwitchStatus{{Switch: "edge-1"}}},
			}
			f.counters = func(r *op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error) {
				counters := &op25bv1.SwitchCounters{Switch: "edge-1", State: op25bv1.CollectionState_COLLECTION_STATE_SYNCED}
				if since := r.Since.AsDuration(); since > 0 {
					if c.err != nil {
						return nil, c.err
					}
					counters.Counted = &op25bv1.CountedSince{
						From: timestamppb.New(now.Add(-since)), To: timestamppb.New(now), Recorded: durationpb.New(c.day), Rules: c.ofDay,
					}
					if since == time.Hour {
						counters.Counted.Recorded, counters.Counted.Rules = durationpb.New(c.hour), c.ofHour
					}
				}
				return &op25bv1.ListCountersResponse{Switches: []*op25bv1.SwitchCounters{counters}}, nil
			}
			for lang, want := range map[string][]string{"en": c.en, "ja": c.ja} {
				page := pageOf(t, f, "/switch/edge-1", lang)
				for _, text := range want {
					if !strings.Contains(page, text) {
						t.Errorf("%s: the page lacks %s:\n%s", lang, text, page)
					}
				}
				for _, text := range c.absent {
					if strings.Contains(page, text) {
						t.Errorf("%s: the page has %s:\n%s", lang, text, page)
					}
				}
			}
		})
	}
}

// TestCountedByController verifies the same with real controllers, which have recorded nothing yet or keep no history.
func TestCountedByController(t *testing.T) {
	for want, change := range map[string]func(*controller.Config){
		"Last hour: nothing was recorded.":             func(c *controller.Config) { c.History.File = filepath.Join(t.TempDir(), "history.db") },
		"This controller keeps no history of counters": nil,
	} {
		base, addr := siteAndAPI(t, change)
		awaitOwner(t, addr)
		if _, page := newBrowser(t, base).get("/switch/edge-1"); !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
}

// awaitOwner waits until the controller owns its switch, and so answers for it: the counters are its own, and the stored status has its name.
func awaitOwner(t *testing.T, addr string) {
	t.Helper()
	api, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	stream, err := api.Telemetry.WatchCounters(ctx, connect.NewRequest(&op25bv1.WatchCountersRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for counted := false; !counted; {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		for _, c := range stream.Msg().Switches {
			counted = counted || c.State != op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED
		}
	}
	statuses, err := api.Fleet.WatchSwitches(ctx, connect.NewRequest(&op25bv1.WatchSwitchesRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer statuses.Close()
	for statuses.Receive() {
		for _, st := range statuses.Msg().Switches {
			if st.Ownership == op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED {
				return
			}
		}
	}
	t.Fatal(statuses.Err())
}

// TestCountersOfOthers verifies that the page of a switch that another controller owns leads to that controller, and shows no counters as this
// controller's own.
func TestCountersOfOthers(t *testing.T) {
	for _, c := range []struct {
		name         string
		counters     *op25bv1.SwitchCounters
		want, absent []string
	}{
		{
			name: "with a page", counters: &op25bv1.SwitchCounters{State: op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE, Owner: "noc-2", OwnerAddress: "192.0.2.12:2525", OwnerPage: "https://noc-2.isp.example:2580"},
			want: []string{"The controller noc-2 owns this switch", `<a href="https://noc-2.isp.example:2580/switch/edge-1">`, "<code>op25b counters --switch edge-1 --server 192.0.2.12:2525</code>"},
		},
		{
			name: "without a page", counters: &op25bv1.SwitchCounters{State: op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE, Owner: "noc-2", OwnerAddress: "192.0.2.12:2525"},
			want: []string{"The controller noc-2 owns this switch", "--server 192.0.2.12:2525"}, absent: []string{"Show this switch on its page"},
		},
		{
			name: "with a bad page", counters: &op25bv1.SwitchCounters{State: op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE, Owner: "<b>", OwnerPage: "javascript:alert(1)//x.example"},
			want: []string{"The controller &lt;b&gt; owns"}, absent: []string{"javascript", "Show this switch on its page"},
		},
		{
			name: "nobody's", counters: &op25bv1.SwitchCounters{State: op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED},
			want: []string{"No controller owns this switch, so nobody collects its counters."}, absent: []string{"op25b counters"},
		},
	} {
		f := &fakeAPI{phases: &op25bv1.ListPhasesResponse{Revision: 1}, list: &op25bv1.ListSwitchesResponse{Revision: 1, Switches: []*op25bv1.SwitchStatus{{Switch: "edge-1"}}}}
		c.counters.Switch = "edge-1"
		f.counters = func(r *op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error) {
			if r.Since != nil {
				t.Errorf("%s: asked for the counts of others", c.name)
			}
			return &op25bv1.ListCountersResponse{Switches: []*op25bv1.SwitchCounters{c.counters}}, nil
		}
		page := pageOf(t, f, "/switch/edge-1", "en")
		for _, text := range c.want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the page lacks %s:\n%s", c.name, text, page)
			}
		}
		for _, text := range append(c.absent, "These values are old", "No packet has matched") {
			if strings.Contains(page, text) {
				t.Errorf("%s: the page has %s:\n%s", c.name, text, page)
			}
		}
		if page := pageOf(t, f, "/switch/edge-1", "ja"); c.counters.Owner == "noc-2" && !strings.Contains(page, "このスイッチはコントローラーnoc-2が管理し") {
			t.Errorf("%s in Japanese:\n%s", c.name, page)
		}
	}
}
