package reconcile

import (
	"net/netip"
	"strconv"
	"strings"

	"op25b/internal/pipeline"
)

// A packet contains the values by which the pipeline looks up a segment from a line.
type packet struct {
	line               pipeline.LineKey
	port               uint16 // the server's port
	subscriber, remote netip.Addr
}

// A judgement decides packets by the entries of a switch. It is a model in plain Go of what op25b_filter.p4 does with
// a SYN from a line.
type judgement struct {
	entries  map[pipeline.Key]pipeline.Entry
	lines    map[pipeline.LineKey]pipeline.Entry
	services map[uint16]uint8
	classes  map[pipeline.Dimension]map[netip.Prefix]pipeline.Entry
	sources  map[pipeline.LineIndex][]netip.Prefix
	checked  map[uint8]bool
	rules    []pipeline.Entry
}

func judge(entries map[pipeline.Key]pipeline.Entry) *judgement {
	j := &judgement{
		entries: entries, lines: map[pipeline.LineKey]pipeline.Entry{}, services: map[uint16]uint8{},
		classes: map[pipeline.Dimension]map[netip.Prefix]pipeline.Entry{pipeline.ByRemote: {}, pipeline.BySubscriber: {}},
		sources: map[pipeline.LineIndex][]netip.Prefix{}, checked: map[uint8]bool{},
	}
	var running pipeline.Epoch
	for _, e := range entries {
		if in, ok := e.IsRunningEpoch(); ok {
			running = in
		}
	}
	for _, e := range entries {
		d, n, numbered := e.Number()
		p, isPrefix := e.Prefix()
		switch in, isRule := e.Epoch(); {
		case isRule && in == running:
			j.rules = append(j.rules, e)
		case isPrefix:
			j.classes[d][p] = e
		case numbered && d == pipeline.ByService:
			j.services[uint16(words(e)["dst_port"])] = n
		case numbered:
			w := words(e)
			j.lines[pipeline.LineKey{Port: pipeline.Port(w["port"]), Session: pipeline.Session(w["session"])}] = e
		case e.IsSource():
			j.sources[e.SourceLine()] = append(j.sources[e.SourceLine()], e.SourcePrefix())
		default:
			if is, drops := e.IsSourceCheck(); is && drops {
				j.checked[uint8(e.CheckedGroup())] = true
			}
		}
	}
	return j
}

// words parses the text of an entry: "port=2" becomes the number 2 under the name "port". Masks are ignored.
func words(e pipeline.Entry) map[string]int {
	if known, ok := texts[place{e.Key, e.Value}]; ok {
		return known
	}
	w := map[string]int{}
	for _, field := range strings.Fields(e.String()) {
		if name, value, ok := strings.Cut(field, "="); ok {
			value, _, _ = strings.Cut(value, "&")
			w[name], _ = strconv.Atoi(value)
		}
	}
	texts[place{e.Key, e.Value}] = w
	return w
}

// texts caches the results of words, because the same entries occur often.
var texts = map[place]map[string]int{}

// A place is the key and the value of an entry.
type place struct {
	key   pipeline.Key
	value pipeline.Value
}

func (j *judgement) class(d pipeline.Dimension, a netip.Addr) (pipeline.Entry, uint8) {
	var best pipeline.Entry
	bits, class := -1, uint8(0)
	for p, e := range j.classes[d] {
		if p.Contains(a) && p.Bits() > bits {
			_, class, _ = e.Number()
			best, bits = e, p.Bits()
		}
	}
	return best, class
}

// passes reports whether the switch passes a packet.
func (j *judgement) passes(p packet) bool {
	line, known := j.lines[p.line]
	if !known {
		line, known = j.lines[pipeline.LineKey{Port: p.line.Port}]
	}
	var group uint8
	var index pipeline.LineIndex
	if known {
		_, group, _ = line.Number()
		index = line.LineIndex()
	}
	if j.checked[group] {
		own := false
		for _, r := range j.sources[index] {
			own = own || r.Contains(p.subscriber)
		}
		if !own {
			return false
		}
	}
	service, mail := j.services[p.port]
	if !mail {
		return p.port != 25
	}
	_, remote := j.class(pipeline.ByRemote, p.remote)
	entry, subscriber := j.class(pipeline.BySubscriber, p.subscriber)
	if subscriber != 0 {
		if home := words(entry)["line_index"]; home != 0 && pipeline.LineIndex(home) != index {
			subscriber = 0
		}
	}
	var decides *pipeline.Entry
	for i, r := range j.rules {
		matches := true
		for d, n := range map[pipeline.Dimension]uint8{
			pipeline.ByGroup: group, pipeline.ByService: service, pipeline.ByRemote: remote, pipeline.BySubscriber: subscriber,
		} {
			named, ok := r.Names(d)
			matches = matches && (!ok || named == n)
		}
		if matches && (decides == nil || r.Priority() > decides.Priority()) {
			decides = &j.rules[i]
		}
	}
	if decides == nil {
		return p.port != 25
	}
	return decides.Lets()
}
