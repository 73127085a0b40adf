package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// The names of the standing rules, in order of evaluation. The standing rules precede the rules of every phase.
const (
	RuleRelay      = "relay"      // mail to and from the ISP's own relays passes
	RuleSubmission = "submission" // submission to any server passes (RFC 5068, invariant I9)
	RuleExempt     = "exempt"     // mail between an exempt address and any server passes
)

// The names of the rules that are built into the pipeline, which defines their ids.
const (
	RuleFailClosed    = "fail-closed"    // port 25 traffic that no rule matches
	RuleTinyFragment  = "tiny-fragment"  // a TCP fragment that ends before the ports or could overwrite them
	RuleLaterFragment = "later-fragment" // later fragments, with the verdict LineGroup.LaterFragments
	RuleUndetermined  = "undetermined"   // frames that cannot be parsed, with the verdict LineGroup.Undetermined
	RuleSpoofed       = "spoofed"        // packets with a forged source address, with the verdict LineGroup.SourceCheck
)

// StandingRules returns the names of the standing rules in order of evaluation.
func StandingRules() []string { return []string{RuleRelay, RuleSubmission, RuleExempt} }

// BuiltInRules returns the names that a policy's rules must not have.
func BuiltInRules() []string {
	return append(StandingRules(), RuleFailClosed, RuleTinyFragment, RuleLaterFragment, RuleUndetermined, RuleSpoofed)
}

// maxRules is the maximum number of distinct rule names in a policy. Each name takes one id, and the standing rules take three.
const maxRules = int(pipeline.LastRule-pipeline.FirstRule) + 1 - 3

// The TCP ports that the standing rules treat specially, regardless of the names of their services.
const (
	PortSMTP        TCPPort = 25
	PortSubmission  TCPPort = 587 // RFC 6409
	PortSubmissions TCPPort = 465 // RFC 8314
)

// has reports whether the function is returns true for any port of the service.
func (s Service) has(is func(TCPPort) bool) bool { return slices.ContainsFunc(s.Ports, is) }

// IsSMTP reports whether the port is 25.
func (p TCPPort) IsSMTP() bool { return p == PortSMTP }

// IsSubmission reports whether the port is 587 or 465.
func (p TCPPort) IsSubmission() bool { return p == PortSubmission || p == PortSubmissions }

// IsMail reports whether the port is 25, 587 or 465.
func (p TCPPort) IsMail() bool { return p.IsSMTP() || p.IsSubmission() }

// ServicesWith returns the services with at least one port for which the function is returns true.
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
