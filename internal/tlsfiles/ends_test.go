package tlsfiles

import (
	"bytes"
	"os"
	"testing"
	"time"

	"op25b/internal/tlsfiles/tlstest"
)

// The ends follow the files, and the certificate that the server presents.
func TestEnds(t *testing.T) {
	us := tlstest.New(t)
	s, c := us.Dir(t, "switch.example"), us.Dir(t, "controller.example")
	write := func(d tlstest.Dir, name string, end time.Time) {
		cert, key := us.Issue(t, name, end)
		tlstest.Replace(t, d.Key, key)
		tlstest.Replace(t, d.Cert, cert)
	}
	day := time.Now().UTC().Truncate(24 * time.Hour)
	write(s, "switch.example", day.AddDate(0, 0, 10))
	write(c, "controller.example", day.AddDate(0, 0, 20))
	var atServer, atClient Ends
	server := must(t)(Server(Files{CA: s.CA, Cert: s.Cert, Key: s.Key, Ends: &atServer}, true))
	client := must(t)(Client(Files{CA: c.CA, Cert: c.Cert, Key: c.Key, Ends: &atClient}))
	check := func(what string, got, want time.Time) {
		t.Helper()
		if !got.Equal(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("server before a handshake", atClient.Server(), time.Time{})
	meet(t, client, server, "switch.example").serial(t)
	check("own of the server", atServer.Own(), day.AddDate(0, 0, 10))
	check("own of the client", atClient.Own(), day.AddDate(0, 0, 20))
	check("server", atClient.Server(), day.AddDate(0, 0, 10))
	check("server, at the server", atServer.Server(), time.Time{})
	write(s, "switch.example", day.AddDate(0, 0, 30))
	check("own after a change", atServer.Own(), day.AddDate(0, 0, 30))
	check("server before the next handshake", atClient.Server(), day.AddDate(0, 0, 10))
	meet(t, client, server, "switch.example").serial(t)
	check("server after the next handshake", atClient.Server(), day.AddDate(0, 0, 30))

	// A server that is refused does not count.
	write(s, "other.example", day.AddDate(0, 0, 40))
	if m := meet(t, client, server, "switch.example"); m.client == nil {
		t.Error("a server with another name was accepted")
	}
	check("server after a refusal", atClient.Server(), day.AddDate(0, 0, 30))

	// An intermediate that ends before the certificate counts.
	leaf, key := us.Issue(t, "controller.example", day.AddDate(0, 0, 50))
	early, _ := us.Issue(t, "intermediate.example", day.AddDate(0, 0, 15))
	tlstest.Replace(t, c.Key, key)
	tlstest.Replace(t, c.Cert, append(leaf, early...))
	check("own with an intermediate", atClient.Own(), day.AddDate(0, 0, 15))
}

// Of several CAs, the next to end counts. One that has ended counts only if no other is left.
func TestEndsOfCAs(t *testing.T) {
	us := tlstest.New(t)
	d := us.Dir(t, "switch.example")
	day := time.Now().UTC().Truncate(24 * time.Hour)
	var pems [][]byte
	for _, days := range []int{40, -5, 20} {
		pem, _ := us.Issue(t, "authority", day.AddDate(0, 0, days))
		pems = append(pems, pem)
	}
	if err := os.WriteFile(d.CA, bytes.Join(pems, []byte("# a comment\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var ends Ends
	must(t)(Client(Files{CA: d.CA, Ends: &ends}))
	for _, tt := range []struct{ now, want int }{{-10, -5}, {0, 20}, {19, 20}, {30, 40}, {50, 40}} {
		if got, want := ends.CA(day.AddDate(0, 0, tt.now)), day.AddDate(0, 0, tt.want); !got.Equal(want) {
			t.Errorf("on day %d: %v, want %v", tt.now, got, want)
		}
	}
}

// Without files, and without an Ends, there are no times.
func TestNoEnds(t *testing.T) {
	var ends Ends
	must(t)(Client(Files{Ends: &ends}))
	for _, e := range []*Ends{&ends, nil, new(Ends)} {
		if !e.Own().IsZero() || !e.CA(time.Now()).IsZero() || !e.Server().IsZero() {
			t.Errorf("%v, %v, %v", e.Own(), e.CA(time.Now()), e.Server())
		}
	}
}
