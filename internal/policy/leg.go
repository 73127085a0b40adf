package policy

import (
	"slices"

	"op25b/internal/pipeline"
)

// A Leg is a direction of traffic, together with the end of the connection (source or destination) that has the service's port.
//
// A rule without legs applies to UpDst. If the rule's service has port 25, the rule also applies to DownSrc. It then covers both
// directions of the connections that lines open.
type Leg string

// The legs.
const (
	UpDst   Leg = "up_dst"   // from a line to a server's port, as in classic port 25 blocking
	DownSrc Leg = "down_src" // from a server's port to a line: replies, including replies to segments with a forged source address
	DownDst Leg = "down_dst" // to a line's port: mail to a server behind the line
	UpSrc   Leg = "up_src"   // from a line's port: replies of a server behind the line
)

// Legs returns the legs in the order in which messages list them.
func Legs() []Leg { return []Leg{UpDst, DownSrc, DownDst, UpSrc} }

// Code returns the pipeline's code of a leg; ok is false for an unknown leg.
func (l Leg) Code() (leg pipeline.Leg, ok bool) {
	switch l {
	case UpDst:
		return pipeline.UpDst, true
	case DownSrc:
		return pipeline.DownSrc, true
	case DownDst:
		return pipeline.DownDst, true
	case UpSrc:
		return pipeline.UpSrc, true
	}
	return 0, false
}

// LegsOf returns the legs of a rule, or the default legs if the rule has none.
func (p *Policy) LegsOf(r PhaseRule) []Leg {
	switch s := p.Service(r.Service); {
	case r.Legs != nil:
		return r.Legs
	case s != nil && s.has(TCPPort.IsSMTP):
		return []Leg{UpDst, DownSrc}
	}
	return []Leg{UpDst}
}

// CanReject reports whether a rule applies to UpDst, the only leg on which the switch can reject.
func (p *Policy) CanReject(r PhaseRule) bool { return slices.Contains(p.LegsOf(r), UpDst) }

// UsesLeg reports whether any rule of any phase applies to a leg. The result does not depend on the phase in force, so that a change of
// phase never changes a switch's service table.
func (p *Policy) UsesLeg(leg Leg) bool {
	return slices.ContainsFunc(p.Phases, func(ph Phase) bool {
		return slices.ContainsFunc(ph.Rules, func(r PhaseRule) bool { return slices.Contains(p.LegsOf(r), leg) })
	})
}
