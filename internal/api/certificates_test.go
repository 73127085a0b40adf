package api

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/examples"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/expiry"
	"op25b/internal/tlsfiles/tlstest"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestListCertificates verifies that the owner of a switch lists the ends of its certificates, and that another controller says that it does not know
// them.
func TestListCertificates(t *testing.T) {
	us := tlstest.New(t)
	d := us.Dir(t, "127.0.0.1")
	day := time.Now().UTC().Truncate(24 * time.Hour)
	cert, key := us.Issue(t, "127.0.0.1", day.AddDate(0, 0, 30))
	tlstest.Replace(t, d.Key, key)
	tlstest.Replace(t, d.Cert, cert)
	all := expiry.New()
	if _, err := tlsfiles.Client(tlsfiles.Files{CA: d.CA, Cert: d.Cert, Key: d.Key, Ends: all.Of(expiry.P4Runtime, "edge-1")}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.Name, d.Certificates = "noc-1", all })
	w.put(edited(t, examples.SpinNet2006()))
	api := op25bv1.NewFleetServiceClient(w.dial())
	ask := func() *op25bv1.ListCertificatesResponse {
		t.Helper()
		r, err := api.ListCertificates(within(t), &op25bv1.ListCertificatesRequest{Switch: "edge-1"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(); r.Controller != "noc-1" || r.Owned || len(r.Certificates) != 0 {
		t.Errorf("a switch without an owner: %v", r)
	}
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-2", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	if r := ask(); r.Owned || len(r.Certificates) != 0 {
		t.Errorf("a switch of another controller: %v", r)
	}
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-1", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	r := ask()
	if !r.Owned || len(r.Certificates) != 2 || r.Certificates[1].Use != "p4runtime-ca" {
		t.Fatalf("%v", r)
	}
	if c := r.Certificates[0]; c.Use != "p4runtime-client" || !c.NotAfter.AsTime().Equal(day.AddDate(0, 0, 30)) {
		t.Errorf("%v", c)
	}
	_, err := api.ListCertificates(within(t), &op25bv1.ListCertificatesRequest{Switch: "edge-9"})
	if want := `unknown switch "edge-9"; known: edge-1`; status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
