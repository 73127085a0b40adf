package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// manyExemptions returns documents with 8,000 lines that are all exempt, and 72,000 exempt addresses: 80,000 exemptions.
func manyExemptions(t testing.TB) []*op25bv1.File {
	var inv, exempt strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: 127.0.0.1:1\n    gnmi: 127.0.0.1:1\n    ports:\n" +
		"      - {port: 500, name: core, role: network}\n      - {port: 1, name: a0, role: access}\n      - {port: 2, name: a1, role: access}\n    lines:\n")
	exempt.WriteString("apiVersion: op25b/v1\nkind: Exemptions\nexemptions:\n")
	for i := range 8000 {
		fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, vlan: %d, group: adsl, prefixes: [10.0.%d.%d/32]}\n", i, i/4000, 1+i%4000, i>>8, i&255)
		fmt.Fprintf(&exempt, "  - {line: line-%d, owner: noc, reason: server, ticket: T-%d, expires: 2099-%02d-%02d}\n", i, i, 1+i%12, 1+i%28)
	}
	for i := range 72_000 {
		fmt.Fprintf(&exempt, "  - {prefix: 100.%d.%d.%d/32, owner: noc@isp.example, reason: a server of a customer, ticket: T-%d, expires: 2098-%02d-%02d}\n",
			64+i>>16, i>>8&255, i&255, 100_000+i, 1+i%12, 1+i%28)
	}
	return edited(t, []strict.File{{Name: "exemptions.yaml", Data: []byte(exempt.String())}, {Name: "inventory.yaml", Data: []byte(inv.String())}, {Name: "policy.yaml", Data: []byte(
		"apiVersion: op25b/v1\nkind: Policy\nname: many\nlineGroups: [{name: adsl}]\nservices: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
			"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\nphases:\n  - {name: all, effective: 2006-05-01, rules: [{name: smtp-all, service: smtp, action: drop}]}\n")}})
}

// BenchmarkListExemptions lists 1,000 of 80,000 exemptions, and those of one line; counts those that end soon, as each scrape of /metrics and each
// status does; and watches nothing. The floor (bare) is the encoding and decoding of an answer of 1,000 exemptions over the same connection.
func BenchmarkListExemptions(b *testing.B) {
	w := newWorld(b, nil)
	w.now = time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	in := w.put(manyExemptions(b))
	c := op25bv1.NewExemptionServiceClient(w.dial())
	for name, q := range map[string]*op25bv1.ListExemptionsRequest{
		"first-1000": {Limit: 1000}, "last-1000": {Limit: 1000, Skip: 79_000}, "one-line": {Line: "line-4711"}, "expiring": {Expiring: durationpb.New(14 * 24 * time.Hour)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := c.List(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Total), "exemptions")
			}
		})
	}
	b.Run("count-ending", func(b *testing.B) {
		for b.Loop() {
			in.Ending(w.now, w.now.Add(endsWithin))
		}
	})
}

// TestManyExemptionsAreStored verifies that 80,000 exemptions of one line or address each are stored in values far below the limit of etcd (1.5 MiB),
// that all are listed in pages, that one more is stored as a small change, and that one that no switch has room for is refused with the table and its
// size.
func TestManyExemptionsAreStored(t *testing.T) {
	w := newWorld(t, nil)
	w.now = time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	w.put(manyExemptions(t))
	c := op25bv1.NewExemptionServiceClient(w.dial())
	var all int
	last := ""
	for skip := uint32(0); ; skip += MaxList {
		r, err := c.List(within(t), &op25bv1.ListExemptionsRequest{Limit: MaxList, Skip: skip})
		if err != nil {
			t.Fatal(err)
		}
		if r.Total != 80_000 {
			t.Fatalf("%d exemptions, want 80,000", r.Total)
		}
		for _, e := range r.Exemptions {
			if e.Expires < last || e.Line != "" && e.Switch != "edge" {
				t.Fatalf("%v after one that ends on %s", e, last)
			}
			last = e.Expires
		}
		if all += len(r.Exemptions); len(r.Exemptions) == 0 {
			break
		}
	}
	if all != 80_000 {
		t.Errorf("%d exemptions were listed, want 80,000", all)
	}
	exemptions, err := w.store.Revisions().At(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	largest, parts := 0, 0
	for path, text := range exemptions.Documents {
		if strings.HasPrefix(path, "exemptions/") {
			largest, parts = max(largest, len(text)), parts+1
		}
	}
	t.Logf("%d parts, the largest of %d bytes", parts, largest)
	if parts < 200 || largest > 100_000 {
		t.Errorf("%d parts, the largest of %d bytes; one exemption would store that again", parts, largest)
	}
	add := func(prefix string) error {
		return refusal(c.Add(within(t), &op25bv1.AddExemptionRequest{
			Exemption: &op25bv1.Exemption{Prefix: prefix, Owner: "noc", Reason: "server", Expires: "2098-03-31"}, NoWait: true,
		}))
	}
	if err := add("192.0.2.1/32"); err == nil || err.Error() != "EOF" {
		t.Fatalf("the 80,001st exemption: %v", err)
	}
	// The table has room for 81,920 IPv4 prefixes.
	docs := manyExemptions(t)
	var more strings.Builder
	for i := range 1920 {
		fmt.Fprintf(&more, "  - {prefix: 101.0.%d.%d/32, owner: noc, reason: server, expires: 2098-03-31}\n", i>>8, i&255)
	}
	for _, f := range docs {
		if f.Name == "exemptions.yaml" {
			f.Data = append(f.Data, more.String()...)
		}
	}
	w.put(docs)
	err = add("192.0.2.1/32")
	if want := `nothing was stored: switch "edge": table "subscriber_v4": no room: 81920 entries, 81921 wanted`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the 81,921st exemption: %v, want %q", err, want)
	}
}
