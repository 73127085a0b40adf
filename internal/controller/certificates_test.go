package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/intent"
	"op25b/internal/softswitch"
	"op25b/internal/strict"
	"op25b/internal/telemetry"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

// TestCertificateEnds verifies that a controller exports the end dates of its own certificate, its client certificate and CA for a switch,
// and the switch's certificate. The series of a switch vanish with the switch.
func TestCertificateEnds(t *testing.T) {
	us := tlstest.New(t)
	day := time.Now().UTC().Truncate(24 * time.Hour)
	issue := func(days int) tlstest.Dir {
		d := us.Dir(t, "127.0.0.1")
		cert, key := us.Issue(t, "127.0.0.1", day.AddDate(0, 0, days))
		tlstest.Replace(t, d.Key, key)
		tlstest.Replace(t, d.Cert, cert)
		return d
	}
	own, client, device := issue(10), issue(20), issue(30)
	secure, err := tlsfiles.Server(tlsfiles.Files{CA: device.CA, Cert: device.Cert, Key: device.Key}, true)
	if err != nil {
		t.Fatal(err)
	}
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.ListenTLS(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"}, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sw.Close()
		services.Close()
	})
	files := examples.SpinNet2006()
	replace := func(old, text string) {
		t.Helper()
		if !bytes.Contains(files[0].Data, []byte(old)) {
			t.Fatalf("the inventory has no %q", old)
		}
		files[0].Data = bytes.Replace(bytes.Clone(files[0].Data), []byte(old), []byte(text), 1)
	}
	replace("gnmi: 127.0.0.1:9339", "gnmi: "+services.Addrs.GNMI)
	replace("p4runtime: 127.0.0.1:9559", fmt.Sprintf("p4runtime: %s\n    tls: {ca: %q, cert: %q, key: %q}", services.Addrs.P4Runtime, client.CA, client.Cert, client.Key))
	cfg := config(t)
	cfg.Listening = api.Listening{Addr: "127.0.0.1:0", Cert: own.Cert, Key: own.Key, ClientCA: own.CA}
	cfg.First, cfg.Telemetry = files, telemetry.Config{Interval: time.Second}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			t.Error(err)
		}
	})
	authority := us.Ends()
	mine := []string{fmt.Sprintf("api-ca  %d", authority.Unix()), fmt.Sprintf("api-server  %d", day.AddDate(0, 0, 10).Unix())}
	edge := []string{}
	for _, service := range []string{"gnmi", "p4runtime"} {
		edge = append(edge, fmt.Sprintf("%s-ca edge-1 %d", service, authority.Unix()), fmt.Sprintf("%s-client edge-1 %d", service, day.AddDate(0, 0, 20).Unix()),
			fmt.Sprintf("%s-server edge-1 %d", service, day.AddDate(0, 0, 30).Unix()))
	}
	await(t, c, slices.Concat(mine, edge))

	// Another switch, without TLS, takes the place of the first.
	files = examples.SpinNet2006()
	replace("name: edge-1", "name: edge-2")
	replace("127.0.0.1:9339", services.Addrs.GNMI)
	replace("127.0.0.1:9559", services.Addrs.P4Runtime)
	put(t, c, files)
	await(t, c, mine)
}

// put stores documents as the next revision.
func put(t *testing.T, c *Controller, files []strict.File) {
	t.Helper()
	proposal, err := c.Book().Propose(t.Context(), files)
	if err == nil {
		_, err = c.Book().Put(t.Context(), proposal, intent.By{Who: "test", Reason: "test"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until the series of the certificates equal want.
func await(t *testing.T, c *Controller, want []string) {
	t.Helper()
	var got []string
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		families, err := c.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, f := range families {
			if f.GetName() != "op25b_certificate_not_after_timestamp_seconds" {
				continue
			}
			for _, m := range f.Metric {
				labels := map[string]string{}
				for _, l := range m.Label {
					labels[l.GetName()] = l.GetValue()
				}
				got = append(got, fmt.Sprintf("%s %s %.0f", labels["use"], labels["switch"], value(m)))
			}
		}
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		time.Sleep(10 * time.Millisecond) // poll, because no event announces the values of a scrape
	}
	t.Errorf("got %q\nwant %q", got, want)
}

func value(m *dto.Metric) float64 { return m.GetGauge().GetValue() }
