package check_test

import (
	"encoding/json"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/check"
)

// TestTraceText verifies that the text of a trace contains the important events in their order, and no tables
// that the compiler generated.
func TestTraceText(t *testing.T) {
	c := check.New(check.Source{Bundle: bundle(t, examples.SpinNet2006())}, check.Options{})
	a := ask(t, c, check.Question{Line: "adsl-bot", To: "203.0.113.25", Port: 25, At: day("2006-12-01"), Trace: true})
	text := a.Results[0].Trace.String()
	rest := text
	for _, want := range []string{
		"  trace of the SYN, from the line\n", "received at port 2, 60 bytes", "state start", "select ethernet.ether_type=2048", "parsed 54 bytes: NoError",
		"table SwitchIngress.filter.line port=2 outer_vid=0 inner_vid=0: hit port=2 outer_vid=0 inner_vid=0 => SwitchIngress.filter.set_line line_group=1 line_index=2",
		"condition packet.shape == SHAPE_TCP holds (op25b_filter.p4:",
		"table SwitchIngress.filter.remote_v4 prefix=203.0.113.25: hit prefix=203.0.113.0/26 => SwitchIngress.filter.set_remote_class class_id=2",
		"remote_class=2 subscriber_class=* priority 2 => SwitchIngress.filter.drop rule=5", "counter SwitchIngress.filter.port_rule[517] counts 60 bytes",
		"dropped at the end of ingress", "  trace of the SYN-ACK, to the line\n", "traffic_leg=2 mail_service=1", "dropped at the end of ingress",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q behind what came before in\n%s", want, text)
		}
		rest = after
	}
	if strings.Contains(text, "tbl_") {
		t.Error("the compiler's own tables are in it")
	}
}

func asJSON(t testing.TB, a *check.Answer) string {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestJSON(t *testing.T) {
	c := check.New(check.Source{Bundle: bundle(t, examples.SpinNet2006())}, check.Options{})
	got := asJSON(t, ask(t, c, check.Question{Line: "adsl-bot", To: "203.0.113.25", Port: 25, At: day("2006-07-01")}))
	want := `{"outcome":"blocked","best":"blocked","line":"adsl-bot","lineGroup":{"name":"adsl","title":"FLET'S ADSL"},"switch":"edge-1","to":"203.0.113.25",` +
		`"port":25,"at":"2006-07-01T09:00:00+09:00","phase":{"name":"mobile-carriers","title":"Mail straight to the mobile carriers is stopped",` +
		`"since":"2006-06-01T00:00:00+09:00"},"results":[{"from":"192.0.2.12","to":"203.0.113.25","outcome":"blocked",` +
		`"rule":{"id":5,"name":"smtp-carrier","action":"drop","text":"smtp (TCP 25) of every line to mobile-carrier is dropped"},"leg":"up_dst","service":"smtp",` +
		`"remote":{"name":"mobile-carrier","title":"The mobile carriers' mail servers"},"since":{"name":"mobile-carriers",` +
		`"title":"Mail straight to the mobile carriers is stopped","since":"2006-06-01T00:00:00+09:00"}}]}`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
