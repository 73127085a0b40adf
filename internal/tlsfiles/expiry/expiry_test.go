package expiry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

// TestSeries verifies that the series follow the certificates of their connections, and vanish with
// their switch.
func TestSeries(t *testing.T) {
	us := tlstest.New(t)
	all := New()
	day := time.Now().UTC().Truncate(24 * time.Hour)
	issue := func(days int) tlstest.Dir {
		d := us.Dir(t, "127.0.0.1")
		cert, key := us.Issue(t, "127.0.0.1", day.AddDate(0, 0, days))
		tlstest.Replace(t, d.Key, key)
		tlstest.Replace(t, d.Cert, cert)
		ca, _ := us.Issue(t, "authority", day.AddDate(0, 0, days+1000))
		tlstest.Replace(t, d.CA, ca)
		return d
	}
	files := func(days int, service, name string) tlsfiles.Files {
		d := issue(days)
		return tlsfiles.Files{CA: d.CA, Cert: d.Cert, Key: d.Key, Ends: all.Of(service, name)}
	}
	if _, err := tlsfiles.Server(files(10, API, ""), true); err != nil {
		t.Fatal(err)
	}
	gnmi := files(30, GNMI, "edge-1")
	for _, f := range []tlsfiles.Files{files(20, Etcd, ""), gnmi, files(40, P4Runtime, "edge-1")} {
		if _, err := tlsfiles.Client(f); err != nil {
			t.Fatal(err)
		}
	}
	all.Of(GNMI, "edge-2") // a switch without a connection has no series
	const head = `# HELP op25b_certificate_not_after_timestamp_seconds When the first certificate of a use ends, in seconds since 1970.
# TYPE op25b_certificate_not_after_timestamp_seconds gauge
`
	type series struct {
		use, name string
		days      int
	}
	check := func(want ...series) {
		t.Helper()
		text := head
		for _, s := range want {
			text += fmt.Sprintf("op25b_certificate_not_after_timestamp_seconds{switch=%q,use=%q} %d\n", s.name, s.use, day.AddDate(0, 0, s.days).Unix())
		}
		if err := testutil.CollectAndCompare(all, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
	}
	own := []series{{"api-server", "", 10}, {"api-ca", "", 1010}, {"etcd-client", "", 20}, {"etcd-ca", "", 1020}}
	check(append(own, series{"gnmi-client", "edge-1", 30}, series{"gnmi-ca", "edge-1", 1030}, series{"p4runtime-client", "edge-1", 40}, series{"p4runtime-ca", "edge-1", 1040})...)
	ofSwitch := func(want ...End) {
		t.Helper()
		if got := all.OfSwitch("edge-1"); !slices.EqualFunc(got, want, func(a, b End) bool { return a.Use == b.Use && a.At.Equal(b.At) }) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	ofSwitch(End{"p4runtime-client", day.AddDate(0, 0, 40)}, End{"p4runtime-ca", day.AddDate(0, 0, 1040)}, End{"gnmi-client", day.AddDate(0, 0, 30)}, End{"gnmi-ca", day.AddDate(0, 0, 1030)})
	if got := all.OfSwitch("edge-2"); len(got) != 0 {
		t.Errorf("a switch without a connection has %v", got)
	}
	renewed := issue(35)
	cert, key := us.Issue(t, "127.0.0.1", day.AddDate(0, 0, 36))
	tlstest.Replace(t, gnmi.Key, key)
	tlstest.Replace(t, gnmi.Cert, cert)
	check(append(own, series{"gnmi-client", "edge-1", 36}, series{"gnmi-ca", "edge-1", 1030}, series{"p4runtime-client", "edge-1", 40}, series{"p4runtime-ca", "edge-1", 1040})...)
	// The next connection to the switch may use other files.
	if _, err := tlsfiles.Client(tlsfiles.Files{CA: renewed.CA, Ends: all.Of(GNMI, "edge-1")}); err != nil {
		t.Fatal(err)
	}
	check(append(own, series{"gnmi-ca", "edge-1", 1035}, series{"p4runtime-client", "edge-1", 40}, series{"p4runtime-ca", "edge-1", 1040})...)
	all.Remove(GNMI, "edge-1")
	all.Remove(P4Runtime, "edge-1")
	check(own...)
	ofSwitch()
	if problems, err := testutil.CollectAndLint(all); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	var none *Certificates
	none.Remove(API, "")
	if none.Of(API, "") != nil || none.OfSwitch("edge-1") != nil {
		t.Error("no certificates, and they are watched")
	}
}
