package visitor

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func request(t testing.TB, remote string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = remote
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

var proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8:80::/64")}

// TestAddress verifies which address counts as the visitor's, and that a visitor cannot choose it.
func TestAddress(t *testing.T) {
	for _, tc := range []struct {
		name, remote string
		header       Header
		headers      []string
		want         string // "" means that the address is not known
	}{
		{"direct", "198.51.100.7:4000", "", nil, "198.51.100.7"},
		{"direct, IPv6", "[2001:db8:7::1]:4000", "", nil, "2001:db8:7::1"},
		{"direct, mapped", "[::ffff:198.51.100.7]:4000", "", nil, "198.51.100.7"},
		{"a stranger forges", "198.51.100.7:4000", "", []string{"X-Forwarded-For", "203.0.113.9"}, "198.51.100.7"},
		{"a stranger forges RFC 7239", "198.51.100.7:4000", Forwarded, []string{"Forwarded", "for=203.0.113.9"}, "198.51.100.7"},
		{"by a proxy", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"a visitor forges through a proxy", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"a visitor forges a proxy", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "203.0.113.9, 192.0.2.2, 198.51.100.7"}, "198.51.100.7"},
		{"a header of the visitor's own", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "203.0.113.9, 198.51.100.7, 192.0.2.2"}, "198.51.100.7"},
		{"only the header that is configured", "192.0.2.1:4000", "", []string{"Forwarded", "for=203.0.113.9", "X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"only the header that is configured 2", "192.0.2.1:4000", Forwarded, []string{"X-Forwarded-For", "203.0.113.9", "Forwarded", "for=198.51.100.7"}, "198.51.100.7"},
		{"other headers", "192.0.2.1:4000", "", []string{"X-Real-IP", "203.0.113.9", "True-Client-IP", "203.0.113.9", "X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"with a port", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "198.51.100.7:5555"}, "198.51.100.7"},
		{"IPv6", "[2001:db8:80::1]:4000", "", []string{"X-Forwarded-For", "2001:db8:7::1"}, "2001:db8:7::1"},
		{"IPv6 with a port", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "[2001:db8:7::1]:99"}, "2001:db8:7::1"},
		{"RFC 7239", "192.0.2.1:4000", Forwarded, []string{"Forwarded", `for=203.0.113.9, For="[2001:db8:7::1]:4711";proto=https;by=192.0.2.1`}, "2001:db8:7::1"},
		{"RFC 7239 twice", "192.0.2.1:4000", Forwarded, []string{"Forwarded", `for=203.0.113.9;for=198.51.100.7`}, ""},
		{"hidden", "192.0.2.1:4000", Forwarded, []string{"Forwarded", `for=203.0.113.9, for=_hidden`}, ""},
		{"unknown", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "203.0.113.9, unknown"}, ""},
		{"an empty hop", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "203.0.113.9, "}, ""},
		{"the proxy itself", "192.0.2.1:4000", "", nil, "192.0.2.1"},
		{"proxies only", "192.0.2.1:4000", "", []string{"X-Forwarded-For", "192.0.2.3, 192.0.2.2"}, "192.0.2.3"},
		{"too many proxies", "192.0.2.1:4000", "", []string{"X-Forwarded-For", strings.Repeat("192.0.2.2, ", maxHops) + "192.0.2.2"}, ""},
		{"no address", "@", "", nil, ""},
	} {
		addr, ok := Proxies{proxies, tc.header}.Address(request(t, tc.remote, tc.headers...))
		if got := addr.String(); ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%s: %s, %v, want %q", tc.name, got, ok, tc.want)
		}
	}
}

// TestNobodyChoosesTheAddress verifies for random headers that the visitor's address is the one that the outermost trusted proxy saw, whatever
// the visitor sent.
func TestNobodyChoosesTheAddress(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sent := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"203.0.113.9", "192.0.2.1", "unknown", "", "2001:db8:80::1", `"`, "for=203.0.113.9"}), rapid.StringMatching(`[ -~]{0,12}`),
		), 0, 6).Draw(rt, "sent")
		r := request(t, "192.0.2.1:4000")
		for _, v := range sent {
			r.Header.Add("X-Forwarded-For", v)
		}
		r.Header.Add("X-Forwarded-For", "198.51.100.7") // by the outermost proxy
		if rapid.Bool().Draw(rt, "a second proxy") {
			r.Header.Set("X-Forwarded-For", strings.Join(r.Header.Values("X-Forwarded-For"), ", ")+", 192.0.2.2")
		}
		if addr, ok := (Proxies{Trusted: proxies}).Address(r); !ok || addr.String() != "198.51.100.7" {
			rt.Fatalf("%v, %v", addr, ok)
		}
	})
}

func TestParseHeader(t *testing.T) {
	for text, want := range map[string]Header{"x-forwarded-for": ForwardedFor, "Forwarded": Forwarded} {
		if h, err := ParseHeader(text); h != want || err != nil {
			t.Errorf("%s: %v, %v", text, h, err)
		}
	}
	if _, err := ParseHeader("X-Real-IP"); err == nil || err.Error() != `"X-Real-IP": must be X-Forwarded-For or Forwarded` {
		t.Errorf("X-Real-IP: %v", err)
	}
}
