package portal

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/check"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
	op25bv1 "op25b/proto/op25b/v1"
)

type testData struct {
	base
	OwnLine    bool
	Line       string
	Server     string
	Groups     []choice
	Problem    string
	ProblemAt  string
	Ports      []portData // the result; empty before a question
	ResultLine string
	From       string // that line in a sentence
	Tested     string // the server of the result
	Advice     []string
	InForce    confirmation
}

// A portData is the verdict on a connection to a port of the server.
type portData struct {
	Port              int
	Use               string
	Passes, Unknown   bool
	Mark, Outcome     string
	Why, Since, Later string
	Login             string // what to do first, if a login opens the port
}

func (p portData) stopped() bool { return !p.Passes && !p.Unknown }

// mailPorts are the ports of the test, in the order of the page.
var mailPorts = []policy.TCPPort{policy.PortSMTP, policy.PortSubmissions, policy.PortSubmission}

// test shows the form with which a visitor tests a server's name.
func (v *visit) test() (reply, error) { return v.testPage(testData{}, "", "") }

func (v *visit) testPage(d testData, problem, at string) (reply, error) {
	v.titled("test", v.T("test title"))
	d.base, d.OwnLine, d.Line, d.Server = v.base, v.mayAskOwn(), v.form.Get("line"), strings.TrimSpace(v.form.Get("server"))
	if p := v.view.Publication; p != nil {
		d.Groups = v.groups(p, d.Line)
	}
	d.Line = lineShown(d.Line, at, d.OwnLine)
	d.Problem, d.ProblemAt = problem, at
	out := reply{name: "test.html", data: d}
	if at != "" {
		out.code = http.StatusUnprocessableEntity
	}
	return out, nil
}

// tested answers which ports of a server the line reaches, by the verdict of the pipeline. The portal opens no connection.
func (v *visit) tested() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	server, line := hostOf(v.form.Get("server")), v.form.Get("line")
	if _, _, err := check.Server(server); err != nil || len(server) > maxHost {
		return v.testPage(testData{}, v.T("wrong server"), "server")
	}
	if err := v.lookup(); err != nil {
		return reply{}, err
	}
	if line == ownValue {
		return v.testedOwn(p, server)
	}
	group := groupOf(line)
	if !slices.ContainsFunc(p.States, func(s published.State) bool { return line != "" && s.Group == group }) {
		return v.testPage(testData{}, v.T("pick line"), "line")
	}
	return v.testedGroup(p, group, server)
}

// testedGroup answers for the lines of a group. What does not depend on the server's address is answered even if nothing is known of its name.
func (v *visit) testedGroup(p *published.Publication, group, server string) (reply, error) {
	d := testData{ResultLine: v.groupTitle(p.Policy(), group), From: v.lineText(false), Tested: server}
	problem, at := "", ""
	for _, port := range mailPorts {
		results, err := v.site.answers.Server(v.ctx, p, group, server, uint16(port), v.Now)
		switch {
		case err == nil:
		case errors.Is(err, answer.ErrLookup):
			problem = v.T("no lookup")
		case errors.Is(err, check.ErrResolve):
			problem, at = v.T("no server"), "server"
		case errors.Is(err, answer.ErrQuestion):
			problem, at = v.T("no family"), "server"
		default:
			return reply{}, err
		}
		if err != nil {
			d.Ports = append(d.Ports, v.unknownPort(port))
		}
		for _, r := range results {
			row := v.portOf(p.Policy(), port, r)
			if l, opens := r.ByLogin(p.Policy(), group); opens {
				row.Login = v.afterLogin(time.Duration(l.For), l.TLS == policy.TLSRequired)
			}
			d.Ports = append(d.Ports, row)
		}
	}
	d.InForce = v.confirmedGroup(p, group)
	return v.resultPage(p, d, problem, at)
}

// hostOf returns the host of what a visitor typed. The port of host:port is left out, because the answer has all ports for mail.
func hostOf(text string) string {
	text = strings.TrimSpace(text)
	if _, err := netip.ParseAddr(text); err == nil { // the last group of an IPv6 address is no port
		return text
	}
	host, port, err := net.SplitHostPort(text)
	if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || n == 0 {
		return text
	}
	return host
}

// unknownPort returns the row of a port of which nothing is known.
func (v *visit) unknownPort(port policy.TCPPort) portData {
	return portData{Port: int(port), Use: v.portUse(port), Unknown: true, Mark: "?", Outcome: v.T("outcome unknown"), Why: v.T("needs address")}
}

// testedOwn asks the controller about the visitor's own line.
func (v *visit) testedOwn(p *published.Publication, server string) (reply, error) {
	r, state := v.askOwn(&op25bv1.AskOwnLineRequest{Question: &op25bv1.AskOwnLineRequest_Server{Server: server}})
	switch state {
	case ownUnknown:
		return v.testPage(testData{}, v.T("own unknown"), "line")
	case ownUnavailable:
		return v.testPage(testData{}, v.T("own unavailable"), "line")
	case ownInvalid: // what does not depend on the server's address is the same for all lines of the group
		line, state := v.askOwn(&op25bv1.AskOwnLineRequest{})
		group := line.GetLineGroup().GetName()
		if state == ownKnown && slices.ContainsFunc(p.States, func(s published.State) bool { return s.Group == group }) {
			return v.testedGroup(p, group, server)
		}
		return v.testPage(testData{}, v.T("no server"), "server")
	}
	d := testData{
		ResultLine: v.T("this line", v.groupTitle(p.Policy(), r.GetLineGroup().GetName())), From: v.lineText(true), InForce: v.confirmedOwn(r.Confirmed), Tested: server,
	}
	for _, x := range r.Ports {
		port := portData{
			Port: int(x.Port), Use: v.portUse(policy.TCPPort(x.Port)), Passes: x.Passes, Outcome: v.outcome(x.Outcome),
			Why: v.decided(p.Policy(), x.GetRule().GetName(), x.GetSince().GetName()),
		}
		port.Mark = mark(x.Passes)
		if x.Problem != "" || x.Outcome == "" {
			port.Unknown, port.Mark, port.Outcome, port.Why = true, "?", v.T("outcome unknown"), x.Problem
		}
		if s := x.GetSince().GetSince(); s != nil && !x.Passes {
			port.Since = v.T("from day", v.When(s.AsTime()))
		}
		if l := x.GetAfterLogin(); l != nil && !x.Passes {
			port.Login = v.afterLogin(l.GetLasts().AsDuration(), l.Tls)
		}
		if n := x.GetNext(); n != nil && x.Passes && !check.Outcome(n.Outcome).Passes() {
			port.Later = v.T("until day", v.When(n.GetPhase().GetSince().AsTime()))
		}
		d.Ports = append(d.Ports, port)
	}
	return v.resultPage(p, d, "", "")
}

// resultPage shows a result with advice. It leaves out what switches confirmed if no port is stopped: it would seem that an open port were not
// confirmed.
func (v *visit) resultPage(p *published.Publication, d testData, problem, at string) (reply, error) {
	if !slices.ContainsFunc(d.Ports, portData.stopped) {
		d.InForce = confirmation{}
	}
	d.Advice = v.advice(p.Policy(), d.Ports)
	return v.testPage(d, problem, at)
}

// advice says what to use if the server's port 25 is stopped: the ports of the result that pass, in a mail program, and the ISP's own relays,
// from a mail server. It gives no addresses of relays, because a customer enters the name that the contact gives.
func (v *visit) advice(p *policy.Policy, ports []portData) []string {
	var all, open []string
	stopped := false
	for _, port := range ports {
		switch {
		case port.Port == int(policy.PortSMTP):
			stopped = stopped || port.stopped()
		case port.Passes && !slices.Contains(open, v.number(port.Port)):
			open = append(open, v.number(port.Port))
		}
	}
	if !stopped {
		return nil
	}
	if len(open) > 0 {
		all = append(all, v.T("advice program", strings.Join(open, v.T("list or"))))
	}
	if !slices.ContainsFunc(p.Remotes, func(r policy.Remote) bool { return r.Relay }) { // own servers that are no relays may be closed to port 25 as well
		return append(all, v.T("advice ask"))
	}
	return append(all, v.T("advice relay"))
}

// afterLogin says that a connection passes for some time after a login to a mailbox of the ISP.
func (v *visit) afterLogin(lasts time.Duration, tls bool) string {
	if tls {
		return v.T("after TLS login", int(lasts.Minutes()))
	}
	return v.T("after login", int(lasts.Minutes()))
}

func mark(passes bool) string {
	if passes {
		return "✓"
	}
	return "✕"
}

func (v *visit) portOf(p *policy.Policy, port policy.TCPPort, r *check.Result) portData {
	d := portData{Port: int(port), Use: v.portUse(port), Passes: r.Outcome.Passes(), Mark: mark(r.Outcome.Passes()), Outcome: v.outcome(string(r.Outcome))}
	if r.Rule != nil {
		d.Why = v.decided(p, r.Rule.Name, r.Since.Name)
	}
	if !d.Passes {
		d.Since = v.T("from day", v.When(r.Since.Since))
	} else if r.Next != nil && !r.Next.Outcome.Passes() {
		d.Later = v.T("until day", v.When(r.Next.Since))
	}
	return d
}

// portUse describes what a port is for.
func (v *visit) portUse(port policy.TCPPort) string {
	switch port {
	case policy.PortSMTP:
		return v.T("port 25")
	case policy.PortSubmissions:
		return v.T("port 465")
	}
	return v.T("port 587")
}

// isInvalid reports whether the controller refused a question because no server has the name.
func isInvalid(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeNotFound:
		return !errors.Is(err, context.Canceled)
	}
	return false
}
