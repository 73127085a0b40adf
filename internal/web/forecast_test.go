package web_test

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/client"
	"op25b/internal/controller"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestForecast verifies the sentences of a forecast in both languages, and that only phases that are still ahead have a forecast.
func TestForecast(t *testing.T) {
	now := time.Date(2006, 12, 1, 12, 0, 0, 0, time.UTC)
	long, short := timestamppb.New(now.AddDate(0, 0, -30)), timestamppb.New(now.AddDate(0, 0, -2))
	var many []string
	for i := range 23 {
		many = append(many, fmt.Sprintf("edge-%d", i))
	}
	for _, c := range []struct {
		name       string
		answer     *op25bv1.ForecastResponse
		en, ja, no []string
	}{
		{
			name: "lines on two switches",
			answer: &op25bv1.ForecastResponse{Days: 7, Rows: []*op25bv1.ForecastRow{
				{Switch: "edge-1", Group: "adsl", Affected: 1200, Used: 30, OneServer: 20, Several: 10, BotLike: 2, Since: long},
				{Switch: "edge-2", Group: "adsl", Affected: 34, Used: 5, OneServer: 4, Several: 1, BotLike: 1, Since: long},
			}},
			en: []string{"newly stop mail for 1,234 of the lines. 35 of these used it in the last 7 days: 24 like a mail program with one server, and 3 like a bot."},
			ja: []string{"新たに1,234回線でメールが止まります。", "過去7日間にこのメールを利用したのは35回線で、1台のサーバーだけを使う回線は24、ボットらしい回線は3です。"},
			no: []string{"Not included", "too little", "were not recorded", "lease"},
		},
		{
			name: "by a lease",
			answer: &op25bv1.ForecastResponse{Days: 7, Rows: []*op25bv1.ForecastRow{
				{Switch: "edge-1", Group: "adsl", Affected: 1200, Used: 30, OneServer: 30, Since: long, AffectedByLease: 1200, UsedByLease: 28},
				{Switch: "edge-1", Group: "mobile", Affected: 34, Since: long},
			}},
			en: []string{"By a lease, after a POP3 or IMAP login, it still passes for 1,200 of these lines, and for 28 of those that used it."},
			ja: []string{"POP3またはIMAPでログインした後の一時許可があれば、このうち1,200回線（利用した回線では28回線）では引き続き通ります。"},
		},
		{
			name:   "no use",
			answer: &op25bv1.ForecastResponse{Days: 7, Rows: []*op25bv1.ForecastRow{{Switch: "edge-1", Group: "adsl", Affected: 4, Since: long}}},
			en:     []string{"newly stop mail for 4 of the lines. None of these used it in the last 7 days."},
			ja:     []string{"新たに4回線でメールが止まります。そのうち過去7日間にこのメールを利用した回線はありません。"},
			no:     []string{"like a bot"},
		},
		{
			name: "nothing, after a minute", answer: &op25bv1.ForecastResponse{Days: 7, Since: timestamppb.New(now.Add(-time.Minute))},
			en: []string{
				"would stop mail for no further line.", "lines whose mail should already be stopped do not count.",
				"recorded for 1 min, from 2006-12-01 20:59:00 &#43;0900 on. This is too little to judge",
			},
			ja: []string{"メールが止まる回線は増えません。", "すでにメールが止まるはずの回線は数えません。", "直近1分（2006-12-01 20:59:00 &#43;0900から）だけです。だれが"},
			no: []string{"during all of"},
		},
		{
			name: "nothing, after a month", answer: &op25bv1.ForecastResponse{Days: 7, Since: long},
			en: []string{"would stop mail for no further line.", "recorded during all of the last 7 days"}, ja: []string{"過去7日間のこのメールの利用は"}, no: []string{"too little"},
		},
		{
			name: "too young, incomplete and with a missing switch",
			answer: &op25bv1.ForecastResponse{
				Days: 7, Since: short, Incomplete: true, Missing: []string{"edge-2", "edge-3"}, Rows: []*op25bv1.ForecastRow{{Switch: "edge-1", Affected: 1, Since: short}},
				Owners: []*op25bv1.ForecastOwner{{Controller: "noc-2", Switches: []string{"edge-2"}}},
			},
			en: []string{
				"recorded for 48 h, from 2006-11-29 21:00:00 &#43;0900 on.", "Some lines were not recorded",
				"Not included: edge-2, edge-3. Another controller owns", "Of these, the controller of edge-2 is noc-2.",
			},
			ja: []string{"直近48時間（2006-11-29 21:00:00 &#43;0900から）", "含まれないスイッチ：edge-2、edge-3", "このうちedge-2のコントローラーはnoc-2です。"},
		},
		{
			name: "only missing switches", answer: &op25bv1.ForecastResponse{Days: 7, Missing: many},
			en: []string{"no further line on the switches of this controller.", "edge-18, edge-19 and 3 more."}, ja: []string{"edge-19ほか3"}, no: []string{"edge-20"},
		},
		{name: "not served", en: []string{"phase-next"}, no: []string{"Forecast", "Activated now"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			everywhere := &op25bv1.Phase{Name: "phase-now", Everywhere: true}
			f := &fakeAPI{
				now: func() time.Time { return now },
				phases: &op25bv1.ListPhasesResponse{Revision: 1, UtcOffset: "+09:00", Phases: []*op25bv1.Phase{
					{Name: "phase-past"}, everywhere, {Name: "phase-next"},
				}},
			}
			var asked []string
			f.forecast = func(r *op25bv1.ForecastRequest) (*op25bv1.ForecastResponse, error) {
				asked = append(asked, r.Phase)
				if c.answer == nil {
					return nil, connect.NewError(connect.CodeUnimplemented, errors.New("not served"))
				}
				return c.answer, nil
			}
			for lang, want := range map[string][]string{"en": c.en, "ja": c.ja} {
				page := pageOf(t, f, "/programme", lang)
				for _, text := range want {
					if !strings.Contains(page, text) {
						t.Errorf("%s: the page lacks %s:\n%s", lang, text, page)
					}
				}
				for _, text := range c.no {
					if strings.Contains(page, text) {
						t.Errorf("%s: the page has %s:\n%s", lang, text, page)
					}
				}
			}
			if got := strings.Join(asked, " "); got != "phase-next phase-next" {
				t.Errorf("asked for %s", got)
			}
			// A phase that is in force only for some lines has a forecast for the others.
			asked, everywhere.Everywhere, everywhere.InForce = nil, false, []*op25bv1.InForce{{Switch: "edge-1", Groups: []string{"adsl"}}}
			pageOf(t, f, "/programme", "en")
			if got := strings.Join(asked, " "); got != "phase-now phase-next" {
				t.Errorf("asked for %s", got)
			}
		})
	}
}

// TestForecastByController verifies that a real controller forecasts the phases after the one in force, for the switch that it owns.
func TestForecastByController(t *testing.T) {
	b := newBrowser(t, earlySite(t))
	sentence := regexp.MustCompile(`newly stop mail for [1-9]\d* of the lines\. None of these used it in the last 7 days`)
	got, page := 0, ""
	for began := time.Now(); got != 2 && time.Since(began) < time.Minute; { // mobile-carriers and all-destinations
		_, page = b.get("/programme")
		got = len(sentence.FindAllString(page, -1))
	}
	if got != 2 {
		t.Errorf("%d forecasts, want 2:\n%s", got, page)
	}
}

// earlySite returns the address of a page whose controller owns its switch, keeps a history, and has activated the first phase again.
func earlySite(t *testing.T) string {
	t.Helper()
	base, addr := siteAndAPI(t, func(c *controller.Config) { c.History.File = filepath.Join(t.TempDir(), "history.db") })
	api, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	stream, err := api.Phase.Activate(t.Context(), connect.NewRequest(&op25bv1.ActivateRequest{Phase: "before", Base: 1, Reason: "test", NoWait: true}))
	if err != nil {
		t.Fatal(err)
	}
	for stream.Receive() {
	}
	if err := cmp.Or(stream.Err(), stream.Close()); err != nil {
		t.Fatal(err)
	}
	awaitOwner(t, addr)
	return base
}
