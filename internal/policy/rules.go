package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// The rules that stand before every phase's, in this order.
const (
	RuleRelay      = "relay"      // mail to the ISP's own relays passes
	RuleSubmission = "submission" // submission to any server passes: RFC 5068, invariant I9
	RuleExempt     = "exempt"     // mail of an exempt address to any server passes
)

// The rules that the pipeline itself applies, where no other was asked or none matched. Their ids are the pipeline's.
const (
	RuleFailClosed    = "fail-closed"    // no rule matched
	RuleTinyFragment  = "tiny-fragment"  // TCP cut off before its ports
	RuleLaterFragment = "later-fragment" // the knob LaterFragments of line groups
	RuleUndetermined  = "undetermined"   // the knob Undetermined of line groups
	RuleSpoofed       = "spoofed"        // the source check of line groups
)

// standing are the names of the rules that every phase begins with.
func standing() []string { return []string{RuleRelay, RuleSubmission, RuleExempt} }

// builtIn are the names that a policy's rules cannot have.
func builtIn() []string {
	return append(standing(), RuleFailClosed, RuleTinyFragment, RuleLaterFragment, RuleUndetermined, RuleSpoofed)
}

// maxRules is how many names the phases of one policy can have between them: an id each, beside the standing rules.
const maxRules = int(pipeline.LastRule-pipeline.FirstRule) + 1 - 3

// outcome is an action as the end of a sentence.
func (a Action) outcome() string {
	switch a {
	case Permit:
		return "passes"
	case Monitor:
		return "passes, and is counted as what a drop would stop"
	case Limit:
		return "passes, but for new connections above the line's rate, which are dropped"
	case Reject:
		return "is dropped, and a line's new connection is answered with an ICMP error"
	case Drop:
		return "is dropped"
	}
	return "is left alone"
}

// The ports whose meaning is fixed, whatever a policy calls their services.
const (
	PortSMTP        TCPPort = 25
	PortSubmission  TCPPort = 587 // RFC 6409
	PortSubmissions TCPPort = 465 // RFC 8314
)

// has reports whether a service has a port for which is holds.
func (s Service) has(is func(TCPPort) bool) bool { return slices.ContainsFunc(s.Ports, is) }

func isSMTPPort(port TCPPort) bool       { return port == PortSMTP }
func isSubmissionPort(port TCPPort) bool { return port == PortSubmission || port == PortSubmissions }
func isMailPort(port TCPPort) bool       { return isSMTPPort(port) || isSubmissionPort(port) }

// servicesWith are the services that have a port for which is holds.
func (p *Policy) servicesWith(is func(TCPPort) bool) []Service {
	var found []Service
	for _, s := range p.Services {
		if s.has(is) {
			found = append(found, s)
		}
	}
	return found
}

// describe lists services by name and TCP port.
func describe(services ...Service) string {
	texts := make([]string, 0, len(services))
	for _, s := range services {
		ports := make([]string, len(s.Ports))
		for i, port := range s.Ports {
			ports[i] = fmt.Sprint(port)
		}
		texts = append(texts, fmt.Sprintf("%s (TCP %s)", s.Name, strings.Join(ports, ", ")))
	}
	return strings.Join(texts, ", ")
}
