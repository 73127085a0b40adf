package view

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

var (
	forecast = &op25bv1.ForecastResponse{
		Phase: "mobile-carriers", Revision: 7, Days: 7, Controller: "noc-1", UtcOffset: "+09:00", Missing: []string{"edge-2"}, Incomplete: true, More: 1,
		Rows: []*op25bv1.ForecastRow{
			{Switch: "edge-1", Group: "adsl", Affected: 1204, Used: 31, OneServer: 22, Several: 9, BotLike: 3, Since: at("2026-11-20T00:00:00Z")},
			{Switch: "edge-1", Group: "mobile", Affected: 80, Since: at("2026-11-20T00:00:00Z")},
		},
		Lines: []*op25bv1.ForecastLine{
			{Id: "1bf712e88bae2f94", Switch: "edge-1", Group: "adsl", Class: "misconfigured client"},
			{Id: "cb78c15a846424c8", Switch: "edge-1", Group: "adsl", Class: "bot-like", Several: true},
		},
	}
	forecastLeases = &op25bv1.ForecastResponse{
		Phase: "submission-opens", Revision: 7, Days: 7, Controller: "noc-1", UtcOffset: "+09:00", Since: at("2026-11-01T00:00:00Z"),
		Rows: []*op25bv1.ForecastRow{
			{Switch: "edge-1", Group: "adsl", Affected: 1204, Used: 31, OneServer: 22, Several: 9, Since: at("2026-11-01T00:00:00Z"), AffectedByLease: 1204, UsedByLease: 29},
			{Switch: "edge-1", Group: "mobile", Affected: 80, Since: at("2026-11-01T00:00:00Z")},
		},
	}
	resolvedLines = &op25bv1.ResolveLinesResponse{Record: 12, Lines: []*op25bv1.ResolvedLine{
		{Id: "1bf712e88bae2f94", Switch: "edge-1", Line: "adsl-home", Group: "adsl"},
		{Id: "cb78c15a846424c8", Switch: "edge-1", Line: "=cmd()", Group: "adsl"},
	}}
	offenders = &op25bv1.ListOffendersResponse{
		Total: 3, Watched: []string{"adsl", "isdn"}, Days: 14, Controller: "noc-1", UtcOffset: "+09:00",
		Offenders: []*op25bv1.Offender{
			{
				Id: "cb78c15a846424c8", Class: "bot-like", Since: at("2026-11-21T00:00:00Z"), Attempts: 8123, Servers: 640, Unsolicited: 3, ActiveDays: 2,
				Hours: []uint32{0, 1, 2, 3, 9, 22, 23}, Reasons: []string{"640 servers in a day; a bot from 50", "active in 7 of 24 hours"}, MonitoredPackets: 24000,
			},
			{Id: "1bf712e88bae2f94", Class: "unclassified", Attempts: 1, Servers: 1, ActiveDays: 1, Hours: []uint32{9}, Reasons: []string{"1 server in a day on 1 of 7 days"}},
		},
	}
	sessions = &op25bv1.ListSessionsResponse{Controller: "noc-1", Time: at("2026-11-22T03:00:00Z"), Switches: []*op25bv1.SwitchSessions{
		{
			Switch: "edge-1", Lines: 8000, Sessions: 7312,
			Entries: &op25bv1.SessionEntries{InForce: 21, Waiting: 2, Detail: `table "subscriber_v4": no room`, Seen: at("2026-11-22T08:59:56Z")},
		},
		{Switch: "edge-2", Lines: 1},
	}}
	noSessions = &op25bv1.ListSessionsResponse{Controller: "noc-1", Time: at("2026-11-22T03:00:00Z")}
	found      = &op25bv1.FindAddressResponse{
		Found: true, Line: "adsl-home", Switch: "edge-1", LineGroup: "adsl", Dynamic: true, AccessServer: "bng-1", Since: at("2026-11-22T01:00:00Z"),
		Heard: at("2026-11-22T02:50:00Z"), Record: 14, UtcOffset: "+09:00",
	}
	foundFixed = &op25bv1.FindAddressResponse{Found: true, Line: "shop", Switch: "edge-1", LineGroup: "business", Record: 15, UtcOffset: "+09:00"}
	foundNone  = &op25bv1.FindAddressResponse{Record: 16}

	unwatched = &op25bv1.ListOffendersResponse{Days: 14, Controller: "noc-1"}
	forgotten = &op25bv1.ForgetLinesResponse{Lines: 1204, Record: 13, Controller: "noc-1"}
)

// TestCSV verifies that a CSV file has a fixed header, and no cell that a spreadsheet would
// evaluate as a formula.
func TestCSV(t *testing.T) {
	for _, c := range []struct {
		name string
		show func(*bytes.Buffer) error
		want string
	}{
		{"forecast", func(b *bytes.Buffer) error { return ForecastCSV(b, forecast, nil) }, `phase,switch,group,lines,used,one_server,several,bot_like,since,lines_by_lease,used_by_lease
mobile-carriers,edge-1,adsl,1204,31,22,9,3,2026-11-20T00:00:00Z,0,0
mobile-carriers,edge-1,mobile,80,0,0,0,0,2026-11-20T00:00:00Z,0,0
`},
		{"forecast with names", func(b *bytes.Buffer) error { return ForecastCSV(b, forecast, resolvedLines) }, `phase,pseudonym,switch,line,group,servers,class
mobile-carriers,1bf712e88bae2f94,edge-1,adsl-home,adsl,one,misconfigured client
mobile-carriers,cb78c15a846424c8,edge-1,'=cmd(),adsl,several,bot-like
`},
		{
			"offenders", func(b *bytes.Buffer) error { return OffendersCSV(b, offenders) },
			`pseudonym,class,since,attempts,servers,unsolicited,active_days,hours,monitored_packets,stopped_packets,reasons
cb78c15a846424c8,bot-like,2026-11-21T00:00:00Z,8123,640,3,2,"0-3, 9, 22-23",24000,0,640 servers in a day; a bot from 50; active in 7 of 24 hours
1bf712e88bae2f94,unclassified,,1,1,0,1,9,0,0,1 server in a day on 1 of 7 days
`,
		},
	} {
		var out bytes.Buffer
		if err := c.show(&out); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, out.String(), c.want)
		}
	}
}

// TestForecastWithNames verifies that a forecast shows the names if the command requested them, as
// a table and as JSON.
func TestForecastWithNames(t *testing.T) {
	var table, json bytes.Buffer
	if err := Table(&table, options()).Forecast(forecast, resolvedLines); err != nil || !strings.Contains(table.String(), "adsl-home") || !strings.Contains(table.String(), "Audit record 12") {
		t.Errorf("%v\n%s", err, table.String())
	}
	if err := JSON(&json).Forecast(forecast, resolvedLines); err != nil || strings.Count(json.String(), "\n") != 2 || !strings.Contains(json.String(), `"line":"adsl-home"`) {
		t.Errorf("%v\n%s", err, json.String())
	}
}

// TestForecastSince verifies that a forecast shows since when the counts are, also if all switches were watched for all of its days.
func TestForecastSince(t *testing.T) {
	old := &op25bv1.ForecastResponse{
		Phase: "drain", Days: 7, UtcOffset: "+09:00", Since: at("2026-10-01T00:00:00Z"),
		Rows: []*op25bv1.ForecastRow{{Switch: "edge-1", Group: "adsl", Affected: 4, Since: at("2026-09-01T00:00:00Z")}, {Switch: "edge-2", Group: "adsl", Affected: 1, Since: at("2026-10-01T00:00:00Z")}},
	}
	var all bytes.Buffer
	if err := Table(&all, options()).Forecast(old, nil); err != nil || !strings.Contains(all.String(), "\nAll switches of the list are watched since 2026-10-01 09:00:00 +0900.\n") {
		t.Errorf("%v\n%s", err, all.String())
	}
	// A switch that was watched for a part of the days is named instead.
	young := proto.CloneOf(old)
	young.Since = at("2026-11-20T00:00:00Z")
	young.Rows[1].Since = young.Since
	all.Reset()
	if err := Table(&all, options()).Forecast(young, nil); err != nil || !strings.Contains(all.String(), "edge-2 is watched since 2026-11-20 09:00:00 +0900") || strings.Contains(all.String(), "All switches") {
		t.Errorf("%v\n%s", err, all.String())
	}
}
