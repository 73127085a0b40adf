package accounting

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2867"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4679"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc6911"

	"op25b/internal/policy"
	"op25b/internal/subscriber"
)

const secret = "a shared secret of bng-1"

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// ok fails the test if an attribute could not be added.
func ok(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func network(text string) *net.IPNet {
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return n
}

// accountingRequest returns an accounting request with a session id.
func accountingRequest(t testing.TB, status rfc2866.AcctStatusType) *radius.Packet {
	t.Helper()
	p := radius.New(radius.CodeAccountingRequest, []byte(secret))
	ok(t, rfc2866.AcctStatusType_Set(p, status), rfc2866.AcctSessionID_SetString(p, "0000A1"))
	return p
}

func encode(t testing.TB, p *radius.Packet) []byte {
	t.Helper()
	b, err := p.Encode()
	ok(t, err)
	return b
}

// TestDecode decodes a request with every attribute that is read, and compares each part of the event.
func TestDecode(t *testing.T) {
	p := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
	ok(t, rfc2865.UserName_SetString(p, "taro@isp.example"), rfc2865.CallingStationID_SetString(p, "00-00-5E-00-53-01"), rfc2869.NASPortID_SetString(p, "ge-0/0/1:100.7"),
		rfc4679.ADSLAgentCircuitID_SetString(p, "olt-1 eth 1/1/3:100"), rfc4679.ADSLAgentRemoteID_Set(p, []byte{0, 1, 0xff}),
		rfc2865.FramedIPAddress_Set(p, net.IPv4(192, 0, 2, 77)), rfc3162.FramedIPv6Prefix_Set(p, network("2001:db8:1:1::/64")),
		rfc4818.DelegatedIPv6Prefix_Set(p, network("2001:db8:2::/56")), rfc6911.FramedIPv6Address_Set(p, net.ParseIP("2001:db8:3::5")),
		rfc2869.EventTimestamp_Set(p, noon()), rfc2866.AcctDelayTime_Set(p, 7))
	parsed, err := parse(append(encode(t, p), 0, 0, 0), []byte(secret)) // padded
	ok(t, err)
	e, is, err := decode(parsed, &Client{Name: "bng-1", Interim: Interim(5 * time.Minute)}, noon().Add(time.Minute))
	if err != nil || !is {
		t.Fatal(is, err)
	}
	if e.Kind != subscriber.Start || e.NAS != "bng-1" || e.Session != "0000A1" || !e.Time.Equal(noon()) || e.Estimated || e.Interval != 5*time.Minute {
		t.Errorf("%+v", e)
	}
	if want := map[policy.Identify]string{
		policy.IdentifyUserName: "taro@isp.example", policy.IdentifyCallingStation: "00-00-5E-00-53-01", policy.IdentifyNASPortID: "ge-0/0/1:100.7",
		policy.IdentifyCircuitID: "olt-1 eth 1/1/3:100", policy.IdentifyRemoteID: "0x0001ff",
	}; !maps.Equal(e.Identities, want) {
		t.Errorf("%v, want %v", e.Identities, want)
	}
	var got []string
	for _, p := range e.Prefixes {
		got = append(got, p.String())
	}
	slices.Sort(got)
	if want := []string{"192.0.2.77/32", "2001:db8:1:1::/64", "2001:db8:2::/56", "2001:db8:3::5/128"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestDecodeKinds verifies the kind of each Acct-Status-Type, and the time of an event without Event-Timestamp.
func TestDecodeKinds(t *testing.T) {
	for status, want := range map[rfc2866.AcctStatusType]subscriber.Kind{
		rfc2866.AcctStatusType_Value_Start: subscriber.Start, rfc2866.AcctStatusType_Value_InterimUpdate: subscriber.Interim, rfc2866.AcctStatusType_Value_Stop: subscriber.Stop,
		rfc2866.AcctStatusType_Value_AccountingOn: subscriber.Restart, rfc2866.AcctStatusType_Value_AccountingOff: subscriber.Restart,
	} {
		p := accountingRequest(t, status)
		ok(t, rfc2866.AcctDelayTime_Set(p, 7))
		e, is, err := decode(p, &Client{}, noon())
		if err != nil || !is || e.Kind != want || !e.Time.Equal(noon().Add(-7*time.Second)) || !e.Estimated {
			t.Errorf("%v: %+v, %v, %v", status, e, is, err)
		}
	}
	if _, is, err := decode(accountingRequest(t, rfc2867.AcctStatusType_Value_TunnelStart), &Client{}, noon()); is || err != nil {
		t.Errorf("Tunnel-Start: %v, %v", is, err)
	}
	long := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
	ok(t, rfc2866.AcctDelayTime_Set(long, 1<<31))
	if e, _, _ := decode(long, &Client{}, noon()); noon().Sub(e.Time) != 2*subscriber.MaxDelay {
		t.Errorf("a delay of 68 years: %v", e.Time)
	}
}

// TestDecodeRefuses verifies that a request without its parts is refused, and that an address in a wrong form is invalid.
func TestDecodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*radius.Packet){
		"no status":      func(p *radius.Packet) { rfc2866.AcctStatusType_Del(p) },
		"no session id":  func(p *radius.Packet) { rfc2866.AcctSessionID_Del(p) },
		"empty id":       func(p *radius.Packet) { p.Set(rfc2866.AcctSessionID_Type, nil) },
		"short status":   func(p *radius.Packet) { p.Set(rfc2866.AcctStatusType_Type, radius.Attribute{1}) },
		"long timestamp": func(p *radius.Packet) { p.Set(rfc2869.EventTimestamp_Type, make(radius.Attribute, 8)) },
	} {
		p := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
		change(p)
		if e, is, err := decode(p, &Client{}, noon()); is || !errors.Is(err, errAttributes) {
			t.Errorf("%s: %+v, %v, %v", name, e, is, err)
		}
	}
	for _, avp := range []*radius.AVP{
		{Type: rfc2865.FramedIPAddress_Type, Attribute: make(radius.Attribute, 16)},
		{Type: rfc6911.FramedIPv6Address_Type, Attribute: make(radius.Attribute, 4)},
		{Type: rfc3162.FramedIPv6Prefix_Type, Attribute: radius.Attribute{0, 129}},
		{Type: rfc4818.DelegatedIPv6Prefix_Type, Attribute: radius.Attribute{0}},
	} {
		if p, is := address(avp); !is || p.IsValid() {
			t.Errorf("%v: %v, %v", avp.Type, p, is)
		}
	}
	for _, a := range []radius.Attribute{nil, {0, 0, 13, 233}, {0, 0, 13, 233, 1, 9, 'x'}, {0, 0, 13, 233, 1, 1, 'x'}, {0, 0, 13, 234, 1, 3, 'x'}} {
		identities := make(map[policy.Identify]string)
		if vendor(a, identities); len(identities) > 0 {
			t.Errorf("% x: %v", a, identities)
		}
	}
}

// TestParseRefuses verifies that a datagram is refused for the right reason, and that a wrong authenticator is found before wrong attributes.
func TestParseRefuses(t *testing.T) {
	good := encode(t, accountingRequest(t, rfc2866.AcctStatusType_Value_Start))
	changed := func(at int, b byte) []byte {
		c := slices.Clone(good)
		c[at] = b
		return c
	}
	many := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
	for range maxAttributes {
		many.Add(rfc2865.ReplyMessage_Type, nil)
	}
	broken := radius.New(radius.CodeAccountingRequest, []byte(secret))
	broken.Add(rfc2865.ReplyMessage_Type, radius.Attribute("x"))
	odd := resign(encode(t, broken), func(b []byte) { b[headerBytes+1] = 1 })
	for name, c := range map[string]struct {
		datagram []byte
		secret   string
		want     error
	}{
		"empty":                      {nil, secret, errLength},
		"short":                      {good[:19], secret, errLength},
		"cut":                        {good[:len(good)-1], secret, errLength},
		"length below the header":    {changed(3, 19), secret, errLength},
		"access request":             {changed(0, byte(radius.CodeAccessRequest)), secret, errCode},
		"answer":                     {changed(0, byte(radius.CodeAccountingResponse)), secret, errCode},
		"another secret":             {good, secret + ".", errAuthentic},
		"no secret":                  {good, "", errAuthentic},
		"an attribute changed":       {changed(len(good)-1, 'X'), secret, errAuthentic},
		"the identifier changed":     {changed(1, good[1]+1), secret, errAuthentic},
		"not signed, bad attributes": {changed(headerBytes+1, 1), secret, errAuthentic},
		"signed, bad attributes":     {odd, secret, errAttributes},
		"too many attributes":        {encode(t, many), secret, errAttributes},
	} {
		if p, err := parse(c.datagram, []byte(c.secret)); p != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := parse(good, []byte(secret)); err != nil {
		t.Errorf("the request itself: %v", err)
	}
}

// FuzzRequest verifies that no datagram makes the decoder fail, and that what it accepts has bounds. The datagrams are signed, because an unsigned
// one gets no further than the authenticator.
func FuzzRequest(f *testing.F) {
	for _, status := range []rfc2866.AcctStatusType{1, 2, 3, 7, 8, 9} {
		f.Add(encode(f, accountingRequest(f, status)))
	}
	p := accountingRequest(f, rfc2866.AcctStatusType_Value_Start)
	ok(f, rfc4679.ADSLAgentCircuitID_SetString(p, "olt-1"), rfc4818.DelegatedIPv6Prefix_Set(p, network("2001:db8:2::/56")))
	f.Add(encode(f, p))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if len(datagram) >= headerBytes {
			datagram = resign(datagram, func([]byte) {})
		}
		p, err := parse(datagram, []byte(secret))
		if err != nil {
			return
		}
		e, is, err := decode(p, &Client{Name: "bng-1"}, noon())
		if err != nil || !is {
			return
		}
		if len(e.Prefixes) > maxPrefixes || len(e.Session) > subscriber.MaxSessionID || len(e.Identities) > len(policy.Identifiers()) {
			t.Errorf("%+v", e)
		}
		for by, value := range e.Identities {
			if !policy.Printable(value) || len(value) > 2*policy.MaxIdentity+2 {
				t.Errorf("%s: %q", by, value)
			}
		}
		if kept, _ := subscriber.Prefixes(e.Prefixes); slices.ContainsFunc(kept, func(p netip.Prefix) bool { return !p.IsValid() || p != p.Masked() }) {
			t.Errorf("%v", kept)
		}
	})
}
