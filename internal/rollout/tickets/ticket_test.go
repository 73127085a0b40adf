package tickets

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// TestParse verifies what is kept of a message.
func TestParse(t *testing.T) {
	got, err := Parse([]byte(`{"tickets": [
		{"id": "T-1", "time": "2026-07-01T20:59:00+09:00", "kind": "mail", "line": "adsl-home"},
		{"id": "T-2", "time": "2026-07-01T12:00:59Z", "kind": "mail", "address": "::ffff:192.0.2.1"},
		{"id": "T-3", "time": "2026-07-01T11:59:00Z", "kind": "billing", "switch": "edge-1"}]}`), noon())
	if err != nil {
		t.Fatal(err)
	}
	want := []Ticket{
		{ID: "T-1", At: noon().Add(-time.Minute), Kind: Mail, Line: "adsl-home"},
		{ID: "T-2", At: noon().Add(59 * time.Second), Kind: Mail, Address: netip.MustParseAddr("192.0.2.1")},
		{ID: "T-3", At: noon().Add(-time.Minute), Kind: "billing", Switch: "edge-1"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err := Parse([]byte(`{"tickets":[]}`), noon()); err != nil || len(got) != 0 {
		t.Errorf("of a message without tickets: %v, %v", got, err)
	}
}

// TestParseRefuses verifies the message of every fault, and that no message repeats what the report has, because the messages are logged (I8).
func TestParseRefuses(t *testing.T) {
	one := func(old, now string) string {
		return strings.Replace(`{"tickets":[{"id":"secret-1","time":"2026-07-01T12:00:00Z","kind":"mail","line":"secret-line"}]}`, old, now, 1)
	}
	long := strings.Repeat("x", 300)
	for body, want := range map[string]string{
		"":                     "it is not JSON",
		"\xff":                 "it is not UTF-8",
		`[]`:                   `the value of "" is of the wrong type`,
		`{}`:                   `it has no "tickets": an empty list says that there are no new ones`,
		`{"tickets":null}`:     `it has no "tickets": an empty list says that there are no new ones`,
		`{"tickets":[]} {}`:    "something follows the object",
		`{"ticket":[]}`:        `it has an unknown key: the object has "tickets", and a ticket has "id", "time", "kind", and one of "line", "address" and "switch"`,
		one(`"line"`, `"Lin"`): `it has an unknown key: the object has "tickets", and a ticket has "id", "time", "kind", and one of "line", "address" and "switch"`,
		`{"tickets":[` + strings.Repeat(`{},`, MaxTickets) + `{}]}`: "it has 201 tickets, and may have 200; send more messages",
		one(`"secret-1"`, `""`):                             `tickets[0]: the "id" has 0 bytes: must be 1 to 128`,
		one(`secret-1`, long):                               `tickets[0]: the "id" has 300 bytes: must be 1 to 128`,
		one(`"secret-1"`, `7`):                              `the value of "tickets.id" is of the wrong type`,
		one(`"mail"`, `""`):                                 `tickets[0]: the "kind" has 0 bytes: must be 1 to 32, such as "mail"`,
		one(`2026-07-01T12:00:00Z`, `secret-time`):          `a "time" is not like "2006-06-15T09:00:00+09:00"`,
		one(`"2026-07-01T12:00:00Z"`, `1`):                  `a "time" is not like "2006-06-15T09:00:00+09:00"`,
		one(`,"time":"2026-07-01T12:00:00Z"`, ``):           `tickets[0]: it has no "time", at which the ticket was opened`,
		one(`2026-07-01T12:00:00Z`, `2026-07-01T12:02:00Z`): `tickets[0]: it was opened 2m0s after its message was signed; compare the clocks`,
		one(`,"line":"secret-line"`, ``):                    `tickets[0]: it has 0 of "line", "address" and "switch": must have one`,
		one(`"line"`, `"switch":"edge-1","line"`):           `tickets[0]: it has 2 of "line", "address" and "switch": must have one`,
		one(`secret-line`, long):                            `tickets[0]: the name of its line or switch has more than 256 bytes`,
		one(`"line":"secret-line"`, `"address":"secret"`):   `tickets[0]: the "address" is not like 192.0.2.1 or 2001:db8::1`,
	} {
		_, err := Parse([]byte(body), noon())
		if !errors.Is(err, ErrMalformed) || err.Error() != "malformed report of support tickets: "+want || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%.60s:\n got %v\nwant %s", body, err, want)
		}
	}
}

// FuzzParse verifies that no message breaks the reader, and that what it accepts is in its bounds.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"tickets":[{"id":"T-1","time":"2026-07-01T12:00:00Z","kind":"mail","line":"adsl-home"}]}`))
	f.Add([]byte(`{"tickets":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := Parse(body, noon())
		if (err != nil) != errors.Is(err, ErrMalformed) || len(all) > MaxTickets {
			t.Fatalf("%d tickets, %v", len(all), err)
		}
		for _, x := range all {
			if x.ID == "" || len(x.ID) > maxID || (x.Line != "") == (x.Switch != "" || x.Address.IsValid()) || x.At.After(noon().Add(maxAhead)) {
				t.Fatalf("%+v", x)
			}
		}
	})
}
