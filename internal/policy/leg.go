package policy

import (
	"slices"

	"op25b/internal/pipeline"
)

// A Leg is a direction of a connection together with the end that the service's port is on.
//
// A rule without legs is for UpDst and, if its service has port 25, for DownSrc: the connections that lines open to servers, both ways.
// Other services are not told apart toward the line, so that a rule of theirs has no other leg than UpDst.
type Leg string

// The legs.
const (
	UpDst   Leg = "up_dst"   // from a line, to a server's port: the classic rule
	DownSrc Leg = "down_src" // to a line, from a server's port: the answers, also to segments that another host sent in the line's name
	DownDst Leg = "down_dst" // to a line's own port: mail to a server behind the line
	UpSrc   Leg = "up_src"   // from a line's own port: the answers of a server behind the line
)

// Legs are the legs in the order in which messages list them.
func Legs() []Leg { return []Leg{UpDst, DownSrc, DownDst, UpSrc} }

// Code is the pipeline's name for a leg; ok is false for a leg that it does not have.
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

// LegsOf returns the legs that a rule is for, written or by default.
func (p *Policy) LegsOf(r PhaseRule) []Leg {
	switch s := p.Service(r.Service); {
	case r.Legs != nil:
		return r.Legs
	case s != nil && s.has(TCPPort.IsSMTP):
		return []Leg{UpDst, DownSrc}
	}
	return []Leg{UpDst}
}

// CanReject reports whether a rule is for the leg on which the switch can reject.
func (p *Policy) CanReject(r PhaseRule) bool { return slices.Contains(p.LegsOf(r), UpDst) }

// UsesLeg reports whether a rule of any phase is for a leg. Which ports are looked at on the subscriber's side hangs on it, in all phases
// alike: a change of phase never touches the services of a switch.
func (p *Policy) UsesLeg(leg Leg) bool {
	return slices.ContainsFunc(p.Phases, func(ph Phase) bool {
		return slices.ContainsFunc(ph.Rules, func(r PhaseRule) bool { return slices.Contains(p.LegsOf(r), leg) })
	})
}
