package engine

import (
	"fmt"
	"net/netip"
	"strings"
)

// String returns the event as a line of text.
func (e Event) String() string {
	switch e.Kind {
	case EventReceived:
		return fmt.Sprintf("received at port %d, %d bytes", *e.Port, e.Bytes)
	case EventState:
		return "state " + e.Name
	case EventSelect:
		return "select" + values(e.Fields)
	case EventParsed:
		return fmt.Sprintf("parsed %d bytes: %s", e.Bytes, e.Name)
	case EventPipeline:
		if e.Port != nil {
			return fmt.Sprintf("%s of port %d", e.Name, *e.Port)
		}
		return e.Name
	case EventCondition:
		outcome := "does not hold"
		if e.Holds {
			outcome = "holds"
		}
		if e.Text == "" {
			return fmt.Sprintf("condition %s %s", e.Name, outcome)
		}
		return fmt.Sprintf("condition %s %s (%s)", e.Text, outcome, e.Source)
	case EventTable:
		return e.table()
	case EventAction:
		return "action " + e.Action
	case EventCounter:
		return fmt.Sprintf("counter %s%s counts %d bytes", e.Name, e.index(), e.Bytes)
	case EventMeter:
		return fmt.Sprintf("meter %s%s says %s", e.Name, e.index(), e.Color)
	case EventRead:
		return fmt.Sprintf("register %s%s holds %s", e.Name, e.index(), number(e.Fields[0].Value))
	case EventWrite:
		return fmt.Sprintf("register %s%s is now %s", e.Name, e.index(), number(e.Fields[0].Value))
	case EventDigest:
		return "digest " + e.Name + values(e.Fields)
	case EventClone:
		return fmt.Sprintf("clone to session %d", *e.Index)
	case EventMulticast:
		return fmt.Sprintf("multicast to group %d", *e.Index)
	case EventAgain:
		return e.Name
	case EventDeparse:
		return "deparse " + strings.Join(e.Headers, " ")
	case EventDrop:
		return "dropped at the end of " + e.Name
	case EventSend:
		return fmt.Sprintf("sent from port %d, %d bytes", *e.Port, e.Bytes)
	}
	return string(e.Kind)
}

func (e Event) index() string {
	if e.Index == nil {
		return ""
	}
	return fmt.Sprintf("[%d]", *e.Index)
}

func (e Event) table() string {
	var b strings.Builder
	b.WriteString("table " + e.Name + values(e.Fields))
	if e.Hit {
		b.WriteString(": hit")
		for _, m := range e.Entry {
			b.WriteString(" " + m.Name + "=" + m.text())
		}
		if e.Priority != 0 {
			fmt.Fprintf(&b, " priority %d", e.Priority)
		}
	} else if len(e.Fields) > 0 {
		b.WriteString(": miss")
	}
	if e.Action != "" {
		b.WriteString(" => " + e.Action + values(e.Args))
	}
	return b.String()
}

// text formats the entry's match on the field as value, value/length, value&mask or low..high. If every value matches, the text is *.
func (m Matched) text() string {
	v := Value{Width: m.Width, Value: m.Value}.text()
	switch {
	case m.Any:
		return "*"
	case m.Kind == "lpm":
		return fmt.Sprintf("%s/%d", v, m.PrefixLen)
	case m.Kind == "range":
		return v + ".." + Value{Width: m.Width, Value: m.Mask}.text()
	case len(m.Mask) > 0 && !wholeMask(m.Mask, m.Width):
		return v + "&" + m.Mask.String()
	}
	return v
}

// wholeMask reports whether a mask contains all bits of a field.
func wholeMask(mask Bits, width int) bool {
	n := 0
	for _, x := range mask {
		for ; x != 0; x &= x - 1 {
			n++
		}
	}
	return n == width
}

func values(vs []Value) string {
	var b strings.Builder
	for _, v := range vs {
		b.WriteString(" " + v.Name + "=" + v.text())
	}
	return b.String()
}

// text formats the value according to its width. 32 and 128 bits are IP addresses, 48 bits are a MAC address, fewer than 32 bits are
// decimal, and all other widths are hexadecimal.
func (v Value) text() string {
	b := v.Value
	for len(b) < (v.Width+7)/8 {
		b = append(Bits{0}, b...)
	}
	switch {
	case v.Width == 32 || v.Width == 128:
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case v.Width == 48:
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
	case v.Width < 32:
		return number(b)
	}
	return b.String()
}

// number formats a value of up to 64 bits in decimal.
func number(b Bits) string {
	if len(b) > 8 {
		return b.String()
	}
	return fmt.Sprint(b.Uint64())
}
