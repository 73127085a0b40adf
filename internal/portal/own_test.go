package portal_test

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/portal"
	op25bv1 "op25b/proto/op25b/v1"
)

// lines answers for three addresses: the ADSL line, the business line, which has an exemption, and a line that the published documents do
// not have.
func lines(q *op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error) {
	r := &op25bv1.AskOwnLineResponse{Known: true, Area: "area-1", Revision: 7, Confirmed: true, Time: timestamppb.New(day("2006-12-01"))}
	switch q.Address {
	case "198.18.0.11", "2001:db8:7::11":
		r.LineGroup, r.Line = &op25bv1.Named{Name: "adsl"}, "line-1"
	case "198.18.0.13":
		r.LineGroup, r.Line, r.ExemptUntil = &op25bv1.Named{Name: "bflets"}, "line-2", timestamppb.New(day("2007-04-01"))
	case "198.18.0.14":
		r.LineGroup, r.Line, r.Confirmed = &op25bv1.Named{Name: "mobile"}, "line-99", false
	default:
		return &op25bv1.AskOwnLineResponse{}, nil
	}
	if server, ok := q.Question.(*op25bv1.AskOwnLineRequest_Server); ok {
		if server.Server == "nowhere.example" {
			return nil, connect.NewError(connect.CodeNotFound, errors.New(`host not found: "nowhere.example"`))
		}
		r.Ports = []*op25bv1.OwnLinePort{
			{Port: 25, Outcome: "blocked", Rule: &op25bv1.CheckRule{Name: "smtp-all", Action: "drop"}, Since: &op25bv1.PhaseSince{Name: "all-destinations", Since: timestamppb.New(day("2006-10-01"))}},
			{Port: 465, Outcome: "delivered", Passes: true, Rule: &op25bv1.CheckRule{Name: "submission", Action: "permit"}},
			{Port: 587, Problem: "no answer"},
		}
	}
	return r, nil
}

// TestAfterLogin verifies that the result for the visitor's own line says that a login opens a port, in both languages.
func TestAfterLogin(t *testing.T) {
	r := start(t, "2006-12-01", behindProxy)
	tls := false
	r.controller.OnAsk(func(q *op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error) {
		a, err := lines(q)
		if len(a.GetPorts()) == 3 {
			a.Ports[2] = &op25bv1.OwnLinePort{
				Port: 587, Outcome: "rejected", Rule: &op25bv1.CheckRule{Name: "own-submission", Action: "reject"},
				AfterLogin: &op25bv1.AfterLogin{Lasts: durationpb.New(10 * time.Minute), Tls: tls},
			}
		}
		return a, err
	})
	form := url.Values{"line": {".own"}, "server": {"smtp.example.jp"}}
	for _, tc := range []struct {
		language string
		tls      bool
		want     string
	}{
		{"en", false, "<br>Check for mail first, then send within 10 minutes."},
		{"ja", false, "<br>先にメールを受信し、その後10分以内に送信してください。"},
		{"en", true, "<br>Check for mail first, with SSL/TLS or STARTTLS, then send within 10 minutes."},
		{"ja", true, "<br>先にメールをSSL/TLSまたはSTARTTLSで受信し、その後10分以内に送信してください。"},
	} {
		tls = tc.tls
		_, page := r.browser(tc.language).post("/test", form, forwarded, "198.18.0.11")
		want(t, tc.language, page, tc.want)
		if strings.Contains(page, "198.18.0.11") {
			t.Errorf("the page has the visitor's address")
		}
	}
}

// behindProxy makes the test's connections come through a trusted proxy, so that a test can be any visitor.
func behindProxy(c *portal.Config, _ *op25bv1.Publication) {
	c.Proxies.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

const forwarded = "X-Forwarded-For"

// TestOwnLine asks about the visitor's own line, through a trusted proxy.
func TestOwnLine(t *testing.T) {
	r := start(t, "2006-12-01", behindProxy)
	r.controller.OnAsk(lines)
	b := r.browser("en")
	for name, tc := range map[string]struct {
		from string
		form url.Values
		want []string
	}{
		"affected":         {"198.18.0.11", url.Values{"line": {".own"}, "use": {"provider"}, "provider": {"gmail"}}, []string{"You are affected since 1 October 2006", "The line that you are using now (FLET&#39;S ADSL)", "The switch of your line has confirmed", "smtp.gmail.com", "It does not contain what is true of your own line only"}},
		"over IPv6":        {"2001:db8:7::11", url.Values{"line": {".own"}, "use": {"webmail"}}, []string{"You are not affected"}},
		"exempt":           {"198.18.0.13", url.Values{"line": {".own"}, "use": {"server"}}, []string{"You are not affected until 31 March 2007", "Your line has an exemption"}},
		"exempt, provider": {"198.18.0.13", url.Values{"line": {".own"}, "use": {"provider"}, "provider": {"gmail"}}, []string{"You are not affected until 31 March 2007"}},
		"exempt, webmail":  {"198.18.0.13", url.Values{"line": {".own"}, "use": {"webmail"}}, []string{"You are not affected"}},
		"not published":    {"198.18.0.14", url.Values{"line": {".own"}, "use": {"server"}}, []string{"You are probably affected", "its switch has not confirmed it yet"}},
	} {
		path, page := b.ask(tc.form, forwarded, tc.from)
		want(t, name, page, tc.want...)
		if !strings.HasPrefix(path, "/mine/") {
			t.Errorf("%s: at %s", name, path)
		}
		if strings.Contains(path+page, tc.from) {
			t.Errorf("%s: the page has the visitor's address", name)
		}
		if name == "exempt" && strings.Contains(page, "by our policy") {
			t.Errorf("%s: the page says that a block is in force for the line", name)
		}
	}
	// Where the line is not known, the visitor picks the kind of line with one click, and the rest of the question stays.
	link := regexp.MustCompile(`<a href="(/a/[0-9]+)">FLET&#39;S ADSL</a>`)
	for name, tc := range map[string]struct {
		from, why, use string
		form           url.Values
	}{
		"no line":         {"198.18.0.99", "You are not connected through a line of ours", "My own mail server", url.Values{"line": {".own"}, "use": {"server"}}},
		"a broken header": {"unknown", "We cannot identify your line at present", "My own mail server", url.Values{"line": {".own"}, "use": {"server"}}},
		"an address":      {"198.18.0.99", "You are not connected", "with a mail address of Gmail", url.Values{"line": {".own"}, "use": {"provider"}, "mail": {"taro@gmail.com"}}},
	} {
		path, page := b.ask(tc.form, forwarded, tc.from)
		want(t, name, page, tc.why, tc.use, `href="`+path+`?lang=ja"`)
		to := link.FindStringSubmatch(page)
		if to == nil || strings.Contains(page, "taro") || strings.Contains(page, "alert") {
			t.Errorf("%s: %s\n%s", name, path, page)
			continue
		}
		_, page = b.get(to[1])
		want(t, name, page, tc.use, "You are affected since", "FLET&#39;S ADSL")
	}
	res, page := b.post("/affected", url.Values{"line": {".own"}, "use": {"provider"}, "mail": {"a b"}}, forwarded, "198.18.0.99")
	if want(t, "no line and a wrong address", page, "This is not a mail address or a domain."); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("no line and a wrong address: %d", res.StatusCode)
	}
	// Another visitor who opens the address of somebody's answer sees the answer for the visitor's own line.
	path, _ := b.ask(url.Values{"line": {".own"}, "use": {"provider"}, "provider": {"gmail"}}, forwarded, "198.18.0.11")
	_, page = b.get(path, forwarded, "198.18.0.13")
	want(t, "by another visitor", page, "You are not affected until 31 March 2007")
	_, page = b.get(path, forwarded, "198.18.0.99")
	want(t, "by a stranger", page, "You are not connected through a line of ours", "with a mail address of Gmail")
}

// TestOwnServer tests a server from the visitor's own line, and from a kind of line.
func TestOwnServer(t *testing.T) {
	r := start(t, "2006-12-01", func(c *portal.Config, p *op25bv1.Publication) {
		behindProxy(c, p)
		c.Resolver = names{"nowhere.example": &net.DNSError{Err: "no such host", IsNotFound: true}}
	})
	r.controller.OnAsk(lines)
	b := r.browser("en")
	_, page := b.post("/test", url.Values{"line": {".own"}, "server": {"smtp.example.jp"}}, forwarded, "198.18.0.11")
	want(t, "own line", page, "the line that you are using now", "To: smtp.example.jp", "blocked (since 1 October 2006)", "open", "unknown", "no answer", "The switch of your line has confirmed", "<p>In a mail program, set the port to 465, if this server offers it.</p>", "Connections to all other servers that are not ours, port 25, are blocked.")
	_, page = b.post("/test", url.Values{"line": {"adsl"}, "server": {"203.0.113.129"}}, forwarded, "198.18.0.11")
	want(t, "kind of line", page, "From: FLET&#39;S ADSL", "blocked (since 1 October 2006)", "open to every server", "have confirmed that this is in force", "set the port to 465 or 587, if",
		"Our mail servers can be reached on port 25 at all times.</p>")
	if strings.Contains(page, "198.51.100.16/28") {
		t.Errorf("the page has address prefixes, which mean nothing to a customer:\n%s", page)
	}
	_, page = b.post("/test", url.Values{"line": {"adsl"}, "server": {"198.51.100.25"}}, forwarded, "198.18.0.11")
	if strings.Contains(page, "can be reached on port 25 at all times") {
		t.Errorf("advice, although nothing is stopped:\n%s", page)
	}
	for name, tc := range map[string]struct {
		form url.Values
		want string
	}{
		"no name":         {url.Values{"line": {".own"}}, "This is not the name of a server."},
		"a mail address":  {url.Values{"line": {"adsl"}, "server": {"taro@example.jp"}}, "This is not the name of a server."},
		"a long name":     {url.Values{"line": {"adsl"}, "server": {strings.Repeat("a", 300)}}, "This is not the name of a server."},
		"an unknown name": {url.Values{"line": {".own"}, "server": {"nowhere.example"}}, "No server with this name was found."},
		"a bad name":      {url.Values{"line": {"adsl"}, "server": {"a b"}}, "This is not the name of a server."},
		"no line":         {url.Values{"server": {"203.0.113.129"}}, "Please choose your line."},
	} {
		res, page := b.post("/test", tc.form, forwarded, "198.18.0.11")
		if res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		want(t, name, page, tc.want, `role="alert"`)
	}
}

// TestNobodyAsksAboutAnotherLine verifies that no header and no field of a stranger changes the address about which the controller is asked.
func TestNobodyAsksAboutAnotherLine(t *testing.T) {
	r := start(t, "2006-12-01", nil) // no trusted proxy
	r.controller.OnAsk(lines)
	b := r.browser("en")
	const victim = "198.18.0.13"
	var headers []string
	for _, name := range []string{forwarded, "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP", "Via", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr"} {
		value := victim
		if name == "Forwarded" {
			value = "for=" + victim
		}
		headers = append(headers, name, value)
	}
	form := url.Values{"line": {".own"}, "use": {"server"}, "server": {"smtp.example.jp"}}
	for _, field := range []string{"address", "from", "ip", "line_name", "area", "own", "Address", "switch", "remote", "exempt_until"} {
		form.Set(field, victim)
	}
	b.post("/affected", form, headers...)
	b.post("/affected?address="+victim+"&line=business-fixed", form, headers...)
	b.post("/test", form, headers...)
	b.get("/?address="+victim+"&line=.own", headers...)
	codes := []string{"12345678"}
	if res, _ := b.post("/affected", url.Values{"line": {"adsl"}, "use": {"server"}}); res.StatusCode == http.StatusSeeOther {
		codes = append(codes, strings.TrimPrefix(res.Header.Get("Location"), "/a/"))
	}
	for _, code := range codes {
		b.get("/mine/"+code+"?address="+victim, headers...)
		b.get("/a/"+code+"?address="+victim, headers...)
	}
	// The name of a line, or of an area, is not a kind of line.
	for _, line := range []string{"line-2", "area-1", victim, ".own2", "adsl,business-fixed"} {
		if res, _ := b.post("/affected", url.Values{"line": {line}, "use": {"server"}}); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("line %q: %d", line, res.StatusCode)
		}
		if res, _ := b.post("/test", url.Values{"line": {line}, "server": {"203.0.113.129"}}); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("test of line %q: %d", line, res.StatusCode)
		}
	}
	asked := r.controller.Asked()
	if len(asked) == 0 {
		t.Fatal("the controller was not asked")
	}
	for _, q := range asked {
		if q.Address != "127.0.0.1" {
			t.Errorf("the controller was asked about %s", q.Address)
		}
	}
}
