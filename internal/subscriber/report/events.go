// Package report converts what DHCP servers and other sources report about sessions to events: messages of SubscriberService, and lines of CSV.
//
// It is pure. Its errors name the field of a message, but never its value, because the value can be an address. The errors about lines of CSV are
// for the caller who has the file, and quote the value.
package report

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/policy"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	op25bv1 "op25b/proto/op25b/v1"
)

// Limits of a request.
const (
	// MaxEvents is the largest number of events.
	MaxEvents = 512
	// maxAddresses is the largest number of addresses and prefixes of one event. A session keeps fewer.
	maxAddresses = 16
	// maxSource is the largest length of a source's name in bytes.
	maxSource = 64
)

// Source returns an error if a source cannot have the name.
func Source(name string) error {
	if name == "" || len(name) > maxSource || !policy.Printable(name) {
		return fault("source", fmt.Sprintf("the name of the source has %d bytes", len(name)), fmt.Sprintf("must be 1 to %d bytes of printable text", maxSource))
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fault("source", "the name of the source is an address", "must be another name, because it is recorded")
	}
	return nil
}

func fault(path, what, way string) error {
	return strict.Faults{{Path: path, What: what, Way: way, Kind: policy.ErrInvalid}}
}

// Events returns the events of a request. received is when the request arrived. If the request is invalid, Events returns strict.Faults without
// values, and no event.
func Events(r *op25bv1.ReportRequest, received time.Time) ([]subscriber.Event, error) {
	if err := Source(r.Source); err != nil {
		return nil, err
	}
	interim := subscriber.DefaultInterval
	if r.Interim != nil {
		interim = r.Interim.AsDuration()
		if r.Interim.CheckValid() != nil || interim < subscriber.MinInterval || interim > subscriber.MaxInterval {
			return nil, fault("interim", "the time between interim events is out of range", fmt.Sprintf("must be from %v to %v", subscriber.MinInterval, subscriber.MaxInterval))
		}
	}
	if n := len(r.Events); n > MaxEvents {
		return nil, fault("events", fmt.Sprintf("%d events", n), fmt.Sprintf("must be at most %d in a request", MaxEvents))
	}
	all := make([]subscriber.Event, 0, len(r.Events))
	for i, m := range r.Events {
		e, f := event(m, received)
		if f != nil {
			return nil, fault(fmt.Sprintf("events[%d].%s", i, f.field), f.what, f.way)
		}
		e.NAS, e.Interval = r.Source, interim
		all = append(all, e)
	}
	return all, nil
}

// A wrong is a fault of one field of an event.
type wrong struct{ field, what, way string }

var kinds = map[op25bv1.SessionEventKind]subscriber.Kind{
	op25bv1.SessionEventKind_SESSION_EVENT_KIND_START:   subscriber.Start,
	op25bv1.SessionEventKind_SESSION_EVENT_KIND_INTERIM: subscriber.Interim,
	op25bv1.SessionEventKind_SESSION_EVENT_KIND_STOP:    subscriber.Stop,
	op25bv1.SessionEventKind_SESSION_EVENT_KIND_RESTART: subscriber.Restart,
}

// event returns the event of a message, without what the request says of all its events.
func event(m *op25bv1.SessionEvent, received time.Time) (e subscriber.Event, f *wrong) {
	e = subscriber.Event{Kind: kinds[m.Kind], Session: m.Session, Line: m.Line, Time: received, Estimated: m.Time == nil}
	if e.Kind == 0 {
		return e, &wrong{"kind", "the kind of the event is not known", "must be start, interim, stop or restart"}
	}
	if m.Time != nil {
		if e.Time = m.Time.AsTime(); m.Time.CheckValid() != nil {
			return e, &wrong{"time", "the time is invalid", "must be a time such as 2026-11-29T12:00:00Z"}
		}
	}
	if e.Kind == subscriber.Restart {
		for _, given := range []struct {
			is    bool
			field string
		}{
			{m.Session != "", "session"}, {m.Line != "", "line"}, {m.Identity != nil, "identity"}, {len(m.Addresses) > 0, "addresses"}, {m.Ends != nil, "ends"},
		} {
			if given.is {
				return e, &wrong{given.field, "a restart has no " + given.field, "must be empty: a restart ends all sessions of the source"}
			}
		}
		return e, nil
	}
	if n := len(m.Session); n == 0 || n > subscriber.MaxSessionID {
		return e, &wrong{"session", fmt.Sprintf("the session id has %d bytes", n), fmt.Sprintf("must have 1 to %d", subscriber.MaxSessionID)}
	}
	if e.Identities, f = identities(m); f == nil {
		e.Prefixes, f = addresses(m.Addresses)
	}
	if f == nil && m.Ends != nil {
		e.Ends, f = ends(e, m.Ends)
	}
	return e, f
}

// identities returns the attributes of an event that can name its line; none if the event gives the name of the line.
func identities(m *op25bv1.SessionEvent) (map[policy.Identify]string, *wrong) {
	all := make(map[policy.Identify]string)
	for _, a := range attributes {
		value := a.of(m.Identity)
		if value == "" {
			continue
		}
		text, ok := identity(value)
		if !ok {
			return nil, &wrong{
				"identity." + a.field, fmt.Sprintf("the %s has %d bytes", a.by, len(value)),
				fmt.Sprintf("must have 1 to %d bytes of printable text, or 0x and their hexadecimal digits", policy.MaxIdentity),
			}
		}
		all[a.by] = text
	}
	switch {
	case m.Line != "" && len(all) > 0:
		return nil, &wrong{"line", "the event gives both the line and its identity", "give one of them"}
	case m.Line == "" && len(all) == 0:
		return nil, &wrong{"line", "the event does not give the line", "give its name in the inventory, or its circuit id or another attribute"}
	}
	return all, nil
}

// An attribute is a field of op25bv1.LineIdentity.
type attribute struct {
	by    policy.Identify
	field string
	of    func(*op25bv1.LineIdentity) string
	set   func(*op25bv1.LineIdentity, string)
}

var attributes = []attribute{
	{policy.IdentifyCircuitID, "circuit_id", (*op25bv1.LineIdentity).GetCircuitId, func(m *op25bv1.LineIdentity, v string) { m.CircuitId = v }},
	{policy.IdentifyRemoteID, "remote_id", (*op25bv1.LineIdentity).GetRemoteId, func(m *op25bv1.LineIdentity, v string) { m.RemoteId = v }},
	{policy.IdentifyNASPortID, "nas_port_id", (*op25bv1.LineIdentity).GetNasPortId, func(m *op25bv1.LineIdentity, v string) { m.NasPortId = v }},
	{policy.IdentifyUserName, "user_name", (*op25bv1.LineIdentity).GetUserName, func(m *op25bv1.LineIdentity, v string) { m.UserName = v }},
	{policy.IdentifyCallingStation, "calling_station_id", (*op25bv1.LineIdentity).GetCallingStationId, func(m *op25bv1.LineIdentity, v string) { m.CallingStationId = v }},
}

// identity returns the value of an attribute in the form that the inventory uses: as text if it is printable, and otherwise in hexadecimal. DHCP
// servers give relay agent options in hexadecimal, whatever they contain.
func identity(value string) (string, bool) {
	if digits, is := strings.CutPrefix(value, "0x"); is {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) == 0 {
			return "", false
		}
		if value = string(b); !policy.Printable(value) {
			value = "0x" + hex.EncodeToString(b)
		}
	}
	return value, len(value) <= policy.MaxIdentity && policy.Printable(value)
}

func addresses(texts []string) ([]netip.Prefix, *wrong) {
	if n := len(texts); n > maxAddresses {
		return nil, &wrong{"addresses", fmt.Sprintf("%d addresses", n), fmt.Sprintf("must be at most %d", maxAddresses)}
	}
	var all []netip.Prefix
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil && a.Zone() == "" {
			a = a.Unmap()
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			return nil, &wrong{fmt.Sprintf("addresses[%d]", i), "this is no address or prefix", "must be one such as 192.0.2.1, 2001:db8::1 or 2001:db8:1::/56"}
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// ends returns when the lease of an event ends.
func ends(e subscriber.Event, at *timestamppb.Timestamp) (time.Time, *wrong) {
	t := at.AsTime()
	switch {
	case e.Kind == subscriber.Stop:
		return t, &wrong{"ends", "a stop has no lease", "must be empty: the session has ended"}
	case at.CheckValid() != nil || !t.After(e.Time):
		return t, &wrong{"ends", "the lease ends before the event", "must be a time after the event"}
	case t.Sub(e.Time) > subscriber.MaxLease:
		return t, &wrong{"ends", "the lease is too long", fmt.Sprintf("must end at most %d days after the event", int(subscriber.MaxLease/(24*time.Hour)))}
	}
	return t, nil
}
