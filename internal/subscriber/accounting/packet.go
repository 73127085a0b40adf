package accounting

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc6911"

	"op25b/internal/policy"
	"op25b/internal/subscriber"
)

// Limits of a request.
const (
	headerBytes = 20
	// maxAttributes is the largest number of attributes in a request. Access servers send 20 to 60.
	maxAttributes = 250
	// maxPrefixes is the largest number of addresses that are read from a request.
	maxPrefixes = 16
)

// The vendor's number and the sub-attributes of RFC 4679 sections 3.3.1 and 3.3.2.
const (
	broadbandForum   = 3561
	agentCircuitID   = 1
	agentRemoteID    = 2
	vendorHeaderSize = 2
)

var (
	errLength     = errors.New("the length of the packet is wrong")
	errCode       = errors.New("the packet is not an accounting request")
	errAuthentic  = errors.New("the authenticator is wrong")
	errAttributes = errors.New("the attributes cannot be read")
)

// parse returns the packet in a datagram. It checks the authenticator (RFC 2866 section 3), so that only a holder of the secret can have made the
// packet, before it reads an attribute.
func parse(datagram, secret []byte) (*radius.Packet, error) {
	if len(datagram) < headerBytes {
		return nil, errLength
	}
	n := int(binary.BigEndian.Uint16(datagram[2:4]))
	if n < headerBytes || n > radius.MaxPacketLength || n > len(datagram) {
		return nil, errLength
	}
	b := datagram[:n] // what follows is padding
	if radius.Code(b[0]) != radius.CodeAccountingRequest {
		return nil, errCode
	}
	if !radius.IsAuthenticRequest(b, secret) {
		return nil, errAuthentic
	}
	count := 0
	for at := headerBytes; at < n; count++ {
		if at+2 > n || b[at+1] < 2 {
			return nil, errAttributes
		}
		at += int(b[at+1])
	}
	if count > maxAttributes {
		return nil, fmt.Errorf("%w: there are %d; must be at most %d", errAttributes, count, maxAttributes)
	}
	p, err := radius.Parse(b, secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAttributes, err)
	}
	return p, nil
}

// decode returns the event in an accounting request. received is the time at which the request arrived. ok is false if the request has an
// Acct-Status-Type that is of no interest here, such as Tunnel-Start (RFC 2867).
func decode(p *radius.Packet, client *Client, received time.Time) (e subscriber.Event, ok bool, err error) {
	e = subscriber.Event{NAS: client.Name, Identities: make(map[policy.Identify]string), Interval: time.Duration(client.Interim)}
	var delay time.Duration
	status := rfc2866.AcctStatusType(0)
	for _, avp := range p.Attributes {
		a := avp.Attribute
		switch avp.Type {
		case rfc2866.AcctStatusType_Type, rfc2869.EventTimestamp_Type, rfc2866.AcctDelayTime_Type:
			v, err := radius.Integer(a)
			if err != nil {
				return e, false, fmt.Errorf("%w: attribute %d has %d bytes; must have 4", errAttributes, avp.Type, len(a))
			}
			switch avp.Type {
			case rfc2866.AcctStatusType_Type:
				status = rfc2866.AcctStatusType(v)
			case rfc2869.EventTimestamp_Type:
				e.Time = time.Unix(int64(v), 0).UTC()
			default:
				delay = min(time.Duration(v)*time.Second, 2*subscriber.MaxDelay)
			}
		case rfc2866.AcctSessionID_Type:
			e.Session = string(a)
		case rfc2865.UserName_Type:
			e.Identities[policy.IdentifyUserName] = identity(a)
		case rfc2865.CallingStationID_Type:
			e.Identities[policy.IdentifyCallingStation] = identity(a)
		case rfc2869.NASPortID_Type:
			e.Identities[policy.IdentifyNASPortID] = identity(a)
		case rfc2865.VendorSpecific_Type:
			vendor(a, e.Identities)
		default:
			if prefix, is := address(avp); is && len(e.Prefixes) < maxPrefixes {
				e.Prefixes = append(e.Prefixes, prefix)
			}
		}
	}
	if e.Time.IsZero() {
		e.Time, e.Estimated = received.Add(-delay), true
	}
	switch status {
	case rfc2866.AcctStatusType_Value_Start:
		e.Kind = subscriber.Start
	case rfc2866.AcctStatusType_Value_InterimUpdate:
		e.Kind = subscriber.Interim
	case rfc2866.AcctStatusType_Value_Stop:
		e.Kind, e.Prefixes = subscriber.Stop, nil // the session has ended with all its addresses
	case rfc2866.AcctStatusType_Value_AccountingOn, rfc2866.AcctStatusType_Value_AccountingOff:
		e.Kind, e.Session = subscriber.Restart, ""
		return e, true, nil
	case 0:
		return e, false, fmt.Errorf("%w: there is no Acct-Status-Type", errAttributes)
	default:
		return e, false, nil
	}
	if e.Session == "" {
		return e, false, fmt.Errorf("%w: there is no Acct-Session-Id", errAttributes)
	}
	return e, true, nil
}

// identity returns the value of an attribute in the form that the inventory uses.
func identity(a radius.Attribute) string {
	if text := string(a); policy.Printable(text) {
		return text
	}
	return "0x" + hex.EncodeToString(a)
}

// vendor adds the Agent-Circuit-Id and Agent-Remote-Id in a Vendor-Specific attribute to identities. Other content is ignored.
func vendor(a radius.Attribute, identities map[policy.Identify]string) {
	id, rest, err := radius.VendorSpecific(a)
	if err != nil || id != broadbandForum {
		return
	}
	for len(rest) > vendorHeaderSize {
		kind, n := rest[0], int(rest[1])
		if n < vendorHeaderSize || n > len(rest) {
			return
		}
		value := radius.Attribute(rest[vendorHeaderSize:n])
		switch kind {
		case agentCircuitID:
			identities[policy.IdentifyCircuitID] = identity(value)
		case agentRemoteID:
			identities[policy.IdentifyRemoteID] = identity(value)
		}
		rest = rest[n:]
	}
}

// address returns the address or prefix in an attribute. is is false for other attributes. The prefix is invalid if the attribute has none.
func address(avp *radius.AVP) (p netip.Prefix, is bool) {
	switch avp.Type {
	case rfc2865.FramedIPAddress_Type, rfc6911.FramedIPv6Address_Type:
		a, ok := netip.AddrFromSlice(avp.Attribute)
		if ok && a.Is4() == (avp.Type == rfc2865.FramedIPAddress_Type) {
			p = netip.PrefixFrom(a, a.BitLen())
		}
		return p, true
	case rfc3162.FramedIPv6Prefix_Type, rfc4818.DelegatedIPv6Prefix_Type:
		n, err := radius.IPv6Prefix(avp.Attribute)
		if err == nil {
			p = prefixOf(n)
		}
		return p, true
	}
	return p, false
}

func prefixOf(n *net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a, bits)
}
