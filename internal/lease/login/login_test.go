package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}

// dovecot is a report with the default attributes of Dovecot 2.3.
const dovecot = `{"login":"alice","pwhash":"0ab0","remote":"192.0.2.1","device_id":"","protocol":"pop3","session_id":"VhZ1+h","success":true,"policy_reject":false,"tls":true}`

// wforce is a report as weakforced sends it to a webhook.
const wforce = `{"remote":"::ffff:192.0.2.1","success":true,"policy_reject":false,"attrs":{"cos":"basic","list":[1,{"a":null}]},"login":"alice","pwhash":"1234","protocol":"imap","tls":false,"t":1472718468.5}`

// TestParse verifies what is read from the reports of both servers.
func TestParse(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	for _, test := range []struct {
		body string
		want Login
	}{
		{dovecot, Login{addr, POP3, true, true, false, time.Time{}}},
		{wforce, Login{addr, IMAP, false, true, false, time.Unix(1472718468, 500_000_000).UTC()}},
		{` {"protocol": "smtp", "success": false, "policy_reject": true, "remote": ""} ` + "\n", Login{PolicyReject: true}},
		{`{"remote":"fe80::1%eth0","success":true}`, Login{Remote: netip.MustParseAddr("fe80::1"), Success: true}},
		{`{"remote":"host.example","Success":true,"TLS":true}`, Login{}}, // keys are exact
		{`{"tls":null,"attrs/a":"b","fail_type":"internal"}`, Login{}},
		{`{}`, Login{}},
	} {
		if got, err := Parse([]byte(test.body)); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.body, got, err, test.want)
		}
	}
}

// TestParseRefuses verifies the message for each kind of malformed report, and that no message contains a value.
func TestParseRefuses(t *testing.T) {
	for body, want := range map[string]string{
		"":                                 "it is not a JSON object",
		`[{}]`:                             "it is not a JSON object",
		`"secret"`:                         "it is not a JSON object",
		`{"login":"secret"`:                "it is not JSON",
		`{"login":secret}`:                 "it is not JSON",
		`{"remote":"secret`:                "it is not JSON",
		`{"login":"secret",}`:              "it is not JSON",
		`{"login":"secret"}{}`:             "something follows the object",
		`{"login":"secret"} secret`:        "something follows the object",
		`{"success":"secret"}`:             `the value of "success" is of the wrong type`,
		`{"success":1}`:                    `the value of "success" is of the wrong type`,
		`{"remote":["secret"]}`:            `the value of "remote" is of the wrong type`,
		`{"t":"secret"}`:                   `the value of "t" is of the wrong type`,
		`{"t":-1}`:                         `the value of "t" is of the wrong type`,
		`{"t":1e300}`:                      `the value of "t" is of the wrong type`,
		`{"success":false,"success":true}`: `it has the key "success" twice`,
		"{\"login\":\"\xff\"}":             "it is not UTF-8",
		`{"x":"` + strings.Repeat("x", MaxBody) + `"}`:      "it has more than 65536 bytes",
		`{"x":` + strings.Repeat("[", 20_000) + `}`:         "it is not JSON",
		`{"remote":` + strings.Repeat(`{"a":`, 8_000) + `}`: "it is not JSON",
	} {
		_, err := Parse([]byte(body))
		if !errors.Is(err, ErrMalformed) || err.Error() != "malformed report of a login: "+want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60s: %v; want %s", body, err, want)
		}
	}
}

// TestRefused verifies which logins grant nothing.
func TestRefused(t *testing.T) {
	good := Login{Remote: netip.MustParseAddr("2001:db8::1"), Protocol: IMAP, Success: true}
	for _, test := range []struct {
		set  func(*Login)
		want Refusal
	}{
		{func(*Login) {}, ""},
		{func(l *Login) { l.Success = false }, Failed},
		{func(l *Login) { l.PolicyReject = true }, Rejected},
		{func(l *Login) { l.Protocol = "" }, Foreign},
		{func(l *Login) { l.Remote = netip.Addr{} }, NoRemote},
		{func(l *Login) { l.Remote = netip.IPv6Loopback() }, NoRemote},
		{func(l *Login) { l.Remote = netip.IPv4Unspecified() }, NoRemote},
		{func(l *Login) { l.Remote = netip.MustParseAddr("ff02::1") }, NoRemote},
		{func(l *Login) { l.Remote = netip.MustParseAddr("169.254.1.1") }, NoRemote},
	} {
		l := good
		if test.set(&l); l.Refused() != test.want {
			t.Errorf("%+v: %q, want %q", l, l.Refused(), test.want)
		}
	}
}

// FuzzParse verifies that a report that Parse accepts is a JSON object whose exact keys have the values of the login, that it is bounded, and that
// an error repeats nothing from the report.
func FuzzParse(f *testing.F) {
	for _, body := range []string{dovecot, wforce, "{}", `{"t":1e3,"t":2}`, `{"success":tru`, "[]"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := Parse(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || l != (Login{}) || len(err.Error()) > 120 {
				t.Fatalf("%+v, %v", l, err)
			}
			return
		}
		var all map[string]any
		if err := json.Unmarshal(body, &all); err != nil || len(body) > MaxBody {
			t.Fatalf("%d bytes: %v", len(body), err)
		}
		success, _ := all["success"].(bool)
		rejected, _ := all["policy_reject"].(bool)
		tls, _ := all["tls"].(bool)
		protocol, _ := all["protocol"].(string)
		remote, _ := all["remote"].(string)
		seconds, _ := all["t"].(float64)
		a, _ := netip.ParseAddr(remote)
		if l.Success != success || l.PolicyReject != rejected || l.TLS != tls || l.Remote != a.Unmap().WithZone("") {
			t.Fatalf("%+v of %s", l, body)
		}
		if (l.Protocol != "") != (protocol == "pop3" || protocol == "imap") || l.Time.IsZero() != (seconds == 0) {
			t.Fatalf("%+v of %s", l, body)
		}
		if !l.Time.IsZero() && math.Abs(float64(l.Time.UnixNano())/1e9-seconds) > 1e-5 {
			t.Fatalf("%v of %v", l.Time, seconds)
		}
	})
}

// TestSigned verifies a signature that was computed with another implementation:
// printf BODY | openssl dgst -sha256 -hmac KEY -binary | base64.
func TestSigned(t *testing.T) {
	body, key := []byte(`{"success":true}`), []byte("0123456789abcdef")
	const good = "oGXucj3yi5J+gdYft/ACcZ8Vn2+D2A5OhrKnSjV0dzc="
	for signature, ok := range map[string]bool{
		good: true, good[:len(good)-4]: false, strings.ToLower(good): false, "": false, "*": false, " " + good: false,
	} {
		if err := Signed(body, signature, key); (err == nil) != ok || !ok && !errors.Is(err, ErrSignature) {
			t.Errorf("%q: %v", signature, err)
		}
	}
	if Signed(append(body, ' '), good, key) == nil || Signed(body, good, key[1:]) == nil {
		t.Error("the signature of another body or key is accepted")
	}
}

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// TestFreshRefuses verifies the bounds of the time of a report.
func TestFreshRefuses(t *testing.T) {
	r, now := NewReplays(noon()), noon().Add(2*MaxAge)
	for i, test := range []struct {
		at   time.Time
		want string
	}{
		{now, ""},
		{now.Add(-MaxAge), ""},
		{now.Add(-MaxAge - 1), "replayed report: it is older than 1m0s"},
		{now.Add(MaxAhead), ""},
		{now.Add(MaxAhead + time.Second), "replayed report: its time is 6s ahead, and at most 5s are allowed; compare the clocks"},
		{time.Time{}, `replayed report: it has no time: the key "t" must say when the login happened`},
	} {
		err := r.Fresh(fmt.Append(nil, i), test.at, now)
		if text := fmt.Sprint(err); (err == nil) != (test.want == "") || err != nil && (text != test.want || !errors.Is(err, ErrReplay)) {
			t.Errorf("%v: %v; want %s", test.at, err, test.want)
		}
	}
	if err := NewReplays(now).Fresh(nil, now.Add(-1), now); !errors.Is(err, ErrReplay) || !strings.Contains(err.Error(), "older than this process") {
		t.Error(err)
	}
	r.most = len(r.now)
	if err := r.Fresh([]byte("more"), now, now); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
}

// TestReplays draws reports and waits. No report is accepted twice, and each one is accepted the first time.
func TestReplays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon()
		r, seen := NewReplays(now), make(map[string]bool)
		type sent struct {
			body string
			at   time.Time
		}
		var all []sent
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			x := sent{fmt.Sprint(i), now}
			if len(all) > 0 && rapid.Bool().Draw(t, "again") {
				x = rapid.SampledFrom(all).Draw(t, "report")
			}
			err := r.Fresh([]byte(x.body), x.at, now)
			if fresh := !seen[x.body]; fresh != (err == nil) {
				t.Fatalf("report %s of %v at %v, seen %v: %v", x.body, x.at, now, seen[x.body], err)
			}
			seen[x.body] = true
			all = append(all, x)
			if len(r.now)+len(r.old) > 2*r.most {
				t.Fatal("too much is remembered")
			}
		}
	})
}
