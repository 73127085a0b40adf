package reference_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
)

// TestRejectRate verifies the limits of rejects in a clock second, which are three for each line and a
// thousand for the switch.
func TestRejectRate(t *testing.T) {
	m := model(t, "now")
	const second = (1 << 20) * time.Microsecond
	frame := up(v4eth(mail(other)))
	for i := range 4 {
		at := second - time.Microsecond
		if d := m.Decide(at, 1, frame); d.Rejected != (i < 3) || d.Passes || d.Outcome != reference.Stopped {
			t.Errorf("reject %d: %v", i+1, d)
		}
	}
	if d := m.Decide(second-1, 1, up(tag(0x8100, 100), v4eth(mail(other)))); !d.Rejected {
		t.Errorf("another line: %v", d)
	}
	if d := m.Decide(second, 1, frame); !d.Rejected {
		t.Errorf("a second later: %v", d)
	}

	p, inv := fixture(t)
	sw := &inv.Switches[0]
	for i := range 400 {
		l := policy.Line{Name: fmt.Sprint("more-", i), Port: "a1", VLAN: 1000, InnerVLAN: pipeline.VID(1 + i), Group: "adsl"}
		sw.Lines = append(sw.Lines, l)
	}
	m = reference.New(p, inv, "edge", "now", noon())
	answered := 0
	for i := range 400 {
		for range 3 {
			if m.Decide(0, 1, up(tag(0x8100, 1000), tag(0x8100, 1+i), v4eth(mail(other)))).Rejected {
				answered++
			}
		}
	}
	if answered != 1000 {
		t.Errorf("%d rejects in a second, want 1000", answered)
	}
}

// TestUnsolicited verifies that a SYN-ACK from port 25 is classified as unsolicited unless its SYN passed
// toward the network recently.
func TestUnsolicited(t *testing.T) {
	const second = (1 << 20) * time.Microsecond
	syn := func(src, dst string, from int) []byte { return up(v4eth(ip4(src, dst, 6, tcp(from, 25, syn)))) }
	answer := func(flags byte) []byte { return down(macHome, v4eth(ip4(hall, home, 6, tcp(25, 40000, flags)))) }
	for _, c := range []struct {
		name  string
		sent  []byte
		after time.Duration
		flags byte
		want  reference.Solicitation
	}{
		{"no SYN", nil, 0, synAck, reference.AnswersNone},
		{"its SYN", syn(home, hall, 40000), second, synAck, reference.Answers},
		{"its SYN, a while ago", syn(home, hall, 40000), 62 * second, synAck, reference.Answers},
		{"its SYN, at the edge", syn(home, hall, 40000), 64 * second, synAck, reference.AnswersMaybe},
		{"its SYN, too long ago", syn(home, hall, 40000), 66 * second, synAck, reference.AnswersNone},
		{"another port's SYN", syn(home, hall, 40001), second, synAck, reference.AnswersNone},
		{"another subscriber's SYN", syn("192.0.2.2", hall, 40000), second, synAck, reference.AnswersNone},
		{"another server's SYN", syn(home, "198.51.100.35", 40000), second, synAck, reference.AnswersNone},
		{"a SYN that was stopped", syn(home, carrier, 40000), second, synAck, reference.AnswersNone},
		{"a segment that is no SYN", up(v4eth(ip4(home, hall, 6, tcp(40000, 25, ack)))), second, synAck, reference.AnswersNone},
		{"not a SYN-ACK", nil, 0, ack, reference.NotAnswer},
		{"not a SYN-ACK but a SYN", nil, 0, 0x02, reference.NotAnswer},
	} {
		m := model(t, "now")
		if c.sent != nil {
			m.Decide(0, 1, c.sent)
		}
		if d := m.Decide(c.after, 3, answer(c.flags)); d.Unsolicited != c.want {
			t.Errorf("%s: %q, want %q", c.name, d.Unsolicited, c.want)
		}
	}
}

// TestFlow verifies that SYNs that are stopped or monitored are reported, with the subscriber's address of
// the outer header and the remote address of the inner header.
func TestFlow(t *testing.T) {
	m := model(t, "now")
	d := m.Decide(0, 1, up(v6eth(mail6(mail(other), 4))))
	if f := d.Flow; f == nil || f.Subscriber.String() != home6 || f.Remote.String() != other || f.Leg != reference.UpDst || f.SYNACK ||
		f.SrcPort != 40000 || f.DstPort != 25 || f.Rule != 12 || f.LineIndex != 1 || f.Service != "smtp" {
		t.Errorf("rejected: %+v", f)
	}
	if d := m.Decide(0, 3, down(macHome, v4eth(ip4(other, home, 6, tcp(25, 40000, synAck))))); d.Flow == nil || !d.Flow.SYNACK || d.Flow.Subscriber.String() != home {
		t.Errorf("SYN-ACK: %+v", d.Flow)
	}
	for name, frame := range map[string][]byte{
		"not new":   v4eth(ip4(home, other, 6, tcp(40000, 25, ack))),
		"permitted": v4eth(mail(relay)),
		"no ports":  v4eth(frag4(mail(other), 1, 0)),
		"web":       v4eth(ip4(home, other, 6, tcp(40000, 80, syn))),
	} {
		if d := m.Decide(0, 1, up(frame)); d.Flow != nil {
			t.Errorf("%s: %+v", name, d.Flow)
		}
	}
	if d := m.Decide(0, 1, up(v4eth(mail(pin)))); d.Flow != nil || d.Else == nil || d.Else.Flow == nil || d.Else.Passes || len(d.Else.Out) != 0 || d.Else.Outcome != reference.Stopped {
		t.Errorf("limited: %v", d)
	}
}

// TestExemptionsEnd verifies that an exemption applies up to its end on the switch's clock, only on its line, and that the clock may start
// again at 0 in between.
func TestExemptionsEnd(t *testing.T) {
	const (
		second = (1 << 20) * time.Microsecond
		turn   = 1 << 28 // seconds until the clock starts again
	)
	for _, c := range []struct {
		name   string
		line   string
		until  pipeline.ClockSecond
		at     int64
		exempt bool
	}{
		{"no end", "", 0, 9, true},
		{"no end, after a turn", "", 0, turn + 9, true},
		{"before the end", "home", 100, 99, true},
		{"at the end", "home", 100, 100, false},
		{"after the end", "home", 100, 101, false},
		{"half a turn after the end", "home", 100, 99 + turn/2, false},
		{"longer after the end", "home", 100, 100 + turn/2, true},
		{"before an end after the turn", "home", 3, turn + 2, true},
		{"at an end after the turn", "home", 3, turn + 3, false},
		{"after the turn", "home", turn - 1, turn, false},
		{"every line", "", 100, 99, true},
		{"another line", "office", 100, 99, false},
	} {
		m := model(t, "now")
		m.Exempt(netip.MustParsePrefix(home+"/32"), c.line, uint32(c.until))
		d := m.Decide(time.Duration(c.at)*second, 1, up(v4eth(mail(other))))
		if (d.RuleName == "exempt") != c.exempt || d.Passes != c.exempt {
			t.Errorf("%s: %v; exempt should be %t", c.name, d, c.exempt)
		}
	}
}
