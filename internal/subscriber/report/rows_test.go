package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

const header = "event,session,line,circuit-id,addresses,time,ends"

// TestRows verifies what becomes of lines.
func TestRows(t *testing.T) {
	r, err := NewRows("leases.csv", "\ufeff event , session,line,circuit-id,addresses,time,ends")
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Event(2, `start,7,,"olt-1, port ""3""",192.0.2.7 2001:db8:1::/56,2026-07-01T21:00:00+09:00,+3600`, noon())
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != op25bv1.SessionEventKind_SESSION_EVENT_KIND_START || m.Session != "7" || m.Identity.GetCircuitId() != `olt-1, port "3"` || len(m.Addresses) != 2 || !m.Time.AsTime().Equal(noon()) || !m.Ends.AsTime().Equal(noon().Add(time.Hour)) {
		t.Errorf("%v", m)
	}
	if m, err = r.Event(3, "STOP,7,home,,,1782907200,", noon()); err != nil || m.Kind != op25bv1.SessionEventKind_SESSION_EVENT_KIND_STOP || m.Line != "home" || m.Identity != nil || m.Ends != nil || m.Time.Seconds != 1782907200 {
		t.Errorf("%v, %v", m, err)
	}
	if m, err = r.Event(4, "restart,,,,,,", noon()); err != nil || m.Kind != op25bv1.SessionEventKind_SESSION_EVENT_KIND_RESTART || m.Time != nil {
		t.Errorf("%v, %v", m, err)
	}
}

// TestRowFaults verifies that each error has the file, the line, the column, the value, and what would be valid.
func TestRowFaults(t *testing.T) {
	for _, c := range []struct{ header, line, want string }{
		{"event,addres", "", `leases.csv:1:7: column "addres" is not known; must be event, session, line, circuit-id, remote-id, nas-port-id, user-name, calling-station-id, addresses, time or ends`},
		{"event,line,event", "", `leases.csv:1:12: column "event" occurs twice; give it once`},
		{"line,session", "", `leases.csv:1:1: the header has no column "event"; the first line must have the names of the columns`},
		{"start,7,home", "", `leases.csv:1:1: column "start" is not known; must be event`},
		{"", "", `leases.csv:1:1: the line is not CSV; quote a value`},
		{header, "start,7,home", `leases.csv:5:9: the line has 3 values; must have 7, as the header`},
		{header, `start,7,"home`, `leases.csv:5:14: the line is not CSV; quote a value that contains a comma or a quote: "olt-1, port ""3""", on one line`},
		{header, "begin,7,home,,,,", `leases.csv:5:1: event "begin": the kind of the event is not known; must be start, interim, stop or restart`},
		{header, "start,,home,,,,", `leases.csv:5:7: session "": the session id has 0 bytes; must have 1 to 253`},
		{header, "start,7,,,,,", `leases.csv:5:9: line "": the event does not give the line; give its name in the inventory, or its circuit id or another attribute`},
		{header, "start,7,home,,192.0.2.1 192.0.2.300,,", `leases.csv:5:15: addresses "192.0.2.1 192.0.2.300": this is no address or prefix; must be one such as 192.0.2.1, 2001:db8::1 or 2001:db8:1::/56`},
		{header, "start,7,home,,,yesterday,", `leases.csv:5:16: time "yesterday": this is no time; must be a time such as 2026-11-29T12:00:00+09:00, the seconds since 1970, or + and the seconds from now`},
		{header, "start,7,home,,,,1782907199", `leases.csv:5:17: ends "1782907199": the lease ends before the event; must be a time after the event`},
		{header, "start,7,,0xabc,,,", `leases.csv:5:10: circuit-id "0xabc": the circuit-id has 5 bytes; must have 1 to 253 bytes of printable text, or 0x and their hexadecimal digits`},
		{header, "restart,,home,,,,", `leases.csv:5:10: line "home": a restart has no line; must be empty: a restart ends all sessions of the source`},
		{"event,line", "start,home", `leases.csv:5:1: the session id has 0 bytes; must have 1 to 253`},
		{header, "start," + strings.Repeat("x", MaxLine), `leases.csv:5:1: the line has 16390 bytes; must have at most 16384`},
	} {
		r, err := NewRows("leases.csv", c.header)
		if err == nil {
			_, err = r.Event(5, c.line, noon())
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.As(err, new(strict.Faults)) {
			t.Errorf("%s / %.40s: %v, want %s", c.header, c.line, err, c.want)
		}
	}
}
