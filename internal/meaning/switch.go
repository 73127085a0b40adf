package meaning

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/pipeline"
	"op25b/internal/view/prose"
)

// device reports changes of the switch's ports, stations and addresses.
func (w *words) device() {
	was, is := &w.was.State, &w.is.State
	if ports := missing(is.NetworkPorts, was.NetworkPorts); len(ports) > 0 {
		w.say(OfSwitch, Opens, "%s: what comes in there is not filtered", becoming(ports, "network"))
	}
	if ports := missing(was.NetworkPorts, is.NetworkPorts); len(ports) > 0 {
		w.say(OfSwitch, Stops, "%s: what comes in there is filtered", becoming(ports, "access"))
	}
	if text := comings("port", was.AllPorts, is.AllPorts); text != "" {
		w.say(OfSwitch, Neutral, "%s", text)
	}
	for _, x := range []struct {
		family   string
		old, now netip.Addr
	}{{"IPv4", was.RejectFrom.IPv4, is.RejectFrom.IPv4}, {"IPv6", was.RejectFrom.IPv6, is.RejectFrom.IPv6}} {
		if x.old != x.now {
			w.say(OfSwitch, Neutral, "rejects of %s come from %s -> %s", x.family, addrText(x.old), addrText(x.now))
		}
	}
	old, now := slices.Collect(maps.Keys(was.Bridge)), slices.Collect(maps.Keys(is.Bridge))
	text := comings("station", old, now)
	moved := 0
	for mac, at := range is.Bridge {
		if before, there := was.Bridge[mac]; there && before != at {
			moved++
		}
	}
	if moved > 0 {
		text = strings.TrimPrefix(text+", "+prose.Count(moved, "station")+" moved", ", ")
	}
	if text != "" {
		w.say(OfSwitch, Neutral, "%s", text)
	}
}

func becoming(ports []pipeline.Port, role string) string {
	list := prose.List(texts(ports, func(p pipeline.Port) string { return fmt.Sprint(p) }), maxNamed)
	if len(ports) == 1 {
		return fmt.Sprintf("port %s becomes %s", list, role)
	}
	return fmt.Sprintf("ports %s become %s", list, role)
}

// comings describes the numbers of added and removed items.
func comings[T pipeline.Port | pipeline.MAC](noun string, was, is []T) string {
	var parts []string
	if n := len(missing(is, was)); n > 0 {
		parts = append(parts, prose.Count(n, noun)+" added")
	}
	if n := len(missing(was, is)); n > 0 {
		parts = append(parts, prose.Count(n, noun)+" removed")
	}
	return strings.Join(parts, ", ")
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return "nowhere"
	}
	return fmt.Sprint(a)
}
