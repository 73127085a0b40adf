package pipeline

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// TestReadMailFlow decodes a flow with an IPv6 and an IPv4 address in P4Runtime's canonical form,
// which has no leading zero bytes.
func TestReadMailFlow(t *testing.T) {
	got, err := ReadMailFlow([][]byte{
		{1, 44}, {2}, {7}, {5}, {3}, {1}, {2}, {1}, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, {10, 0, 0, 1},
	})
	want := MailFlow{
		Line: 300, Leg: DownSrc, Service: 7, Rule: 5, Action: Drop, SYNACK: true,
		Subscriber: netip.MustParseAddr("2001:db8::9"), Remote: netip.MustParseAddr("10.0.0.1"),
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := ReadMailFlow([][]byte{{1}}); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "a mail flow of 1 members, want 10") {
		t.Errorf("of one member: %v", err)
	}
}
