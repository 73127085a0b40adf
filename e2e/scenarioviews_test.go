package e2e

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api"

	"op25b/examples"
	"op25b/internal/client"
	"op25b/internal/compile"
	"op25b/internal/demo"
	"op25b/internal/policy"
	"op25b/internal/telemetry"
	"op25b/internal/telemetry/history"
	op25bv1 "op25b/proto/op25b/v1"
)

// sentBy returns the frames in a report by rule.
func sentBy(report *demo.Report) map[string]telemetry.Count {
	sent := map[string]telemetry.Count{}
	for _, p := range report.Phases {
		for _, c := range p.Counters {
			if c.Sent > 0 {
				sent[c.Rule] = sent[c.Rule].Plus(telemetry.Count{Packets: c.Sent, Octets: c.SentBytes})
			}
		}
	}
	return sent
}

// checkViews compares the frames of a report with the output of op25b counters, and with the values that gnmic's client reads from the
// switch and from the controller.
func checkViews(t *testing.T, ctx context.Context, name, addr, gnmiAddr, north string, report *demo.Report) error {
	want := sentBy(report)
	c, err := client.New(client.Config{Server: addr})
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := client.Ask(ctx, time.Minute, c.Telemetry.ListCounters, &op25bv1.ListCountersRequest{Switches: []string{name}})
	if err != nil {
		return err
	}
	shown := map[string]telemetry.Count{}
	for _, n := range r.Switches[0].Rules {
		if n.Packets > 0 {
			shown[n.Rule] = shown[n.Rule].Plus(telemetry.Count{Packets: n.Packets, Octets: n.Octets})
		}
	}
	if d := cmp.Diff(want, shown); d != "" {
		return fmt.Errorf("op25b counters: sent - shown +:\n%s", d)
	}
	for where, at := range map[string]string{"the switch": gnmiAddr, "the controller": north} {
		read, err := gnmicRules(t, ctx, name, at)
		if err != nil {
			return fmt.Errorf("gnmic from %s: %w", where, err)
		}
		if d := cmp.Diff(want, read); d != "" {
			return fmt.Errorf("gnmic from %s: sent - read +:\n%s", where, d)
		}
	}
	return nil
}

// gnmicRules reads the counters of the worked example's rules, by name, with gnmic's client.
func gnmicRules(t *testing.T, ctx context.Context, target, addr string) (map[string]telemetry.Count, error) {
	bundle, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		return nil, err
	}
	numbers, err := compile.Number(nil, bundle)
	if err != nil {
		return nil, err
	}
	names := map[uint64]string{}
	for rule, id := range numbers.RuleIDs() {
		names[uint64(id)] = rule
	}
	req, err := api.NewGetRequest(api.Path("/acl/acl-sets/acl-set/acl-entries/acl-entry/state"), api.EncodingPROTO(), api.Target(target))
	if err != nil {
		return nil, err
	}
	res, err := gnmicTarget(t, addr).Get(ctx, req)
	if err != nil {
		return nil, err
	}
	rules := map[string]telemetry.Count{}
	for _, n := range res.GetNotification() {
		for _, u := range n.GetUpdate() {
			elems := append(append([]*gnmi.PathElem{}, n.GetPrefix().GetElem()...), u.GetPath().GetElem()...)
			last := elems[len(elems)-1].GetName()
			if last != "matched-packets" && last != "matched-octets" {
				continue
			}
			id, err := strconv.ParseUint(elems[4].GetKey()["sequence-id"], 10, 32)
			if err != nil {
				return nil, err
			}
			count := rules[names[id]]
			if last == "matched-packets" {
				count.Packets += u.GetVal().GetUintVal()
			} else {
				count.Octets += u.GetVal().GetUintVal()
			}
			if count != (telemetry.Count{}) {
				rules[names[id]] = count
			}
		}
	}
	return rules, nil
}

// checkHistory compares the frames of a report with the history that the controller left in a file.
func checkHistory(t *testing.T, file string, report *demo.Report) {
	t.Helper()
	h, err := history.Open(history.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	r, err := h.Range(t.Context(), history.Query{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]telemetry.Count{}
	for _, s := range r.Series {
		for _, p := range s.Points {
			if p.Packets > 0 {
				kept[s.Key.Rule] = kept[s.Key.Rule].Plus(telemetry.Count{Packets: p.Packets, Octets: p.Octets})
			}
		}
	}
	if d := cmp.Diff(sentBy(report), kept); d != "" {
		t.Errorf("history: sent - kept +:\n%s", d)
	}
}
