package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// The standing rules come before every phase's rules, in this order.
const (
	RuleRelay      = "relay"      // mail to the ISP's own relays passes
	RuleSubmission = "submission" // submission to any server passes: RFC 5068, invariant I9
	RuleExempt     = "exempt"     // mail of an exempt address to any server passes
)

// The rules that the pipeline itself applies if no other rule was evaluated or matched. The pipeline defines their ids.
const (
	RuleFailClosed    = "fail-closed"    // no rule matched
	RuleTinyFragment  = "tiny-fragment"  // TCP cut off before its ports
	RuleLaterFragment = "later-fragment" // the knob LaterFragments of line groups
	RuleUndetermined  = "undetermined"   // the knob Undetermined of line groups
	RuleSpoofed       = "spoofed"        // the source check of line groups
)

// StandingRules returns the names of the standing rules in their order.
func StandingRules() []string { return []string{RuleRelay, RuleSubmission, RuleExempt} }

// BuiltInRules returns the names that a policy's rules cannot have.
func BuiltInRules() []string {
	return append(StandingRules(), RuleFailClosed, RuleTinyFragment, RuleLaterFragment, RuleUndetermined, RuleSpoofed)
}

// maxRules is the most rule names in all phases of a policy: one id each, beside the standing rules.
const maxRules = int(pipeline.LastRule-pipeline.FirstRule) + 1 - 3

// The ports with a fixed meaning, whatever the names of their services.
const (
	PortSMTP        TCPPort = 25
	PortSubmission  TCPPort = 587 // RFC 6409
	PortSubmissions TCPPort = 465 // RFC 8314
)

// has reports whether a service has a port for which is returns true.
func (s Service) has(is func(TCPPort) bool) bool { return slices.ContainsFunc(s.Ports, is) }

// IsSMTP reports whether the port is 25.
func (p TCPPort) IsSMTP() bool { return p == PortSMTP }

// IsSubmission reports whether the port is 587 or 465.
func (p TCPPort) IsSubmission() bool { return p == PortSubmission || p == PortSubmissions }

// IsMail reports whether the port is 25, 587 or 465.
func (p TCPPort) IsMail() bool { return p.IsSMTP() || p.IsSubmission() }

// ServicesWith returns the services that have a port for which is returns true.
func (p *Policy) ServicesWith(is func(TCPPort) bool) []Service {
	var found []Service
	for _, s := range p.Services {
		if s.has(is) {
			found = append(found, s)
		}
	}
	return found
}

// String returns the service's name and its ports: "submission (TCP 587, 465)".
func (s Service) String() string {
	ports := make([]string, len(s.Ports))
	for i, port := range s.Ports {
		ports[i] = fmt.Sprint(port)
	}
	return fmt.Sprintf("%s (TCP %s)", s.Name, strings.Join(ports, ", "))
}
