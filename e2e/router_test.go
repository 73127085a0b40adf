package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/encoding/prototext"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/wire"
)

// The tables and actions of the example router in p4src/examples/router/router.p4.
const (
	routerInterface    = 0x02000101
	routerRouteV4      = 0x02000102
	routerRouteV6      = 0x02000103
	routerSetInterface = 0x01000101
	routerNextHop      = 0x01000102
)

func routerProgram(t *testing.T) (*configv1.P4Info, []byte) {
	t.Helper()
	text, err := os.ReadFile("../p4src/examples/router/build/router.p4info.txtpb")
	if err != nil {
		t.Fatal(err)
	}
	info := &configv1.P4Info{}
	if err := prototext.Unmarshal(text, info); err != nil {
		t.Fatal(err)
	}
	json, err := os.ReadFile("../p4src/examples/router/build/router.json")
	if err != nil {
		t.Fatal(err)
	}
	return info, json
}

// routerEntries returns the entries of the filter's tables, as the controller writes them for the reference switch, and of the router's
// tables. A line is at port 1, and the servers are behind port 11.
func routerEntries(t *testing.T, info *configv1.P4Info) []*p4v1.Update {
	t.Helper()
	s := filtering(1, 0, 1)
	s.Bridge, s.AllPorts, s.NetworkPorts, s.Ports = nil, nil, nil, nil
	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := pipeline.RuleEntries(s.Verdicts, 1)
	if err != nil {
		t.Fatal(err)
	}
	entries = append(entries, rules...)
	has := map[uint32]bool{}
	for _, x := range info.GetTables() {
		has[x.GetPreamble().GetId()] = true
	}
	var updates []*p4v1.Update
	for _, e := range append(entries, pipeline.EpochEntry(1, false)) {
		if !has[e.Key.Table().ID()] {
			continue
		}
		kind := p4v1.Update_INSERT
		if e.IsDefault() {
			kind = p4v1.Update_MODIFY
		}
		updates = append(updates, &p4v1.Update{Type: kind, Entity: p4rt.Entity(e)})
	}
	add := func(table uint32, match *p4v1.FieldMatch, action uint32, params ...[]byte) {
		match.FieldId = 1
		a := &p4v1.Action{ActionId: action}
		for i, p := range params {
			a.Params = append(a.Params, &p4v1.Action_Param{ParamId: uint32(i + 1), Value: p})
		}
		updates = append(updates, &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
			TableId: table, Match: []*p4v1.FieldMatch{match}, Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}},
		}}}})
	}
	exactly := func(b byte) *p4v1.FieldMatch {
		return &p4v1.FieldMatch{FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte{b}}}}
	}
	prefix := func(text string) *p4v1.FieldMatch {
		p := netip.MustParsePrefix(text)
		return &p4v1.FieldMatch{FieldMatchType: &p4v1.FieldMatch_Lpm{Lpm: &p4v1.FieldMatch_LPM{Value: p.Addr().AsSlice(), PrefixLen: int32(p.Bits())}}}
	}
	add(routerInterface, exactly(11), routerSetInterface, []byte{1})
	for _, p := range []string{"203.0.113.0/24", "172.16.0.0/12"} {
		add(routerRouteV4, prefix(p), routerNextHop, []byte{11}, serverMAC[:], []byte{1})
	}
	add(routerRouteV4, prefix("192.0.2.0/24"), routerNextHop, []byte{1}, subscriberMAC[:], []byte{0})
	add(routerRouteV6, prefix("2001:db8::/32"), routerNextHop, []byte{11}, serverMAC[:], []byte{1})
	return updates
}

// TestFilterInAnotherProgram verifies that the filter makes the same decisions in a router, on the embedded switch and on bmv2. The router
// includes the filter's control unchanged, and shares nothing else with the reference switch.
func TestFilterInAnotherProgram(t *testing.T) {
	info, json := routerProgram(t)
	run := func(t *testing.T, p4runtime, packets string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		session := dialPrimary(t, p4runtime)
		if _, err := session.EnsurePipeline(ctx, info, json); err != nil {
			t.Fatal(err)
		}
		if err := session.Write(ctx, routerEntries(t, info)); err != nil {
			t.Fatal(err)
		}
		client := dialPacketsWith(t, packets, 1, 1, 11, tcp4(t, subscriberMAC, serverMAC, "192.0.2.11", "203.0.113.129", 40000, 80, flagSYN))
		out := make(chan string, 64)
		links := map[pipeline.Port]wire.Link{}
		var serving sync.WaitGroup
		for _, p := range []pipeline.Port{1, 11} {
			link, err := client.Port(uint32(p), fmt.Sprint(p))
			if err != nil {
				t.Fatal(err)
			}
			links[p] = link
			serving.Go(func() {
				_ = link.Serve(ctx, func(f []byte) { out <- fmt.Sprintf("%d ttl %d %x", p, f[22], f[34:38]) })
			})
		}
		t.Cleanup(func() { cancel(); _ = client.Close(); serving.Wait() })

		const line, exempt, mx, relay = "192.0.2.11", "10.0.0.0", "203.0.113.129", "172.16.0.5"
		up := func(src, dst string, port uint16, change func(f []byte)) sent {
			f := tcp4(t, subscriberMAC, serverMAC, src, dst, 40000, port, flagSYN)
			if change != nil {
				change(f)
			}
			return sent{1, f}
		}
		down := func(src, dst string, port uint16) sent {
			return sent{11, tcp4(t, serverMAC, subscriberMAC, src, dst, port, 40000, flagSYN|flagACK)}
		}
		// After each frame that must be dropped, the test sends a frame that passes. Once the second frame arrives, the first has been
		// dropped.
		for _, test := range []struct {
			what string
			sent
			want string // empty if nothing must come out
		}{
			{"mail to a server", up(line, mx, 25, nil), ""},
			{"submission", up(line, mx, 587, nil), "11 ttl 63 9c40024b"},
			{"mail to the relay", up(line, relay, 25, nil), "11 ttl 63 9c400019"},
			{"mail of an exempt subscriber", up(exempt, mx, 25, nil), "11 ttl 63 9c400019"},
			{"the answer of a server", down(mx, line, 25), ""},
			{"the answer of the relay", down(relay, line, 25), "1 ttl 63 00199c40"},
			{"mail behind a tag", up(line, mx, 25, func(f []byte) { copy(f[12:], []byte{0x81, 0, 0, 1}) }), ""},
			{"mail behind an option", up(line, mx, 25, func(f []byte) { f[14] = 0x46 }), ""},
			{"a later fragment", up(line, mx, 443, func(f []byte) { f[21] = 9 }), ""},
			{"a tunnel", up(line, mx, 443, func(f []byte) { f[23] = 41 }), ""},
			{"no mail", up(line, mx, 443, nil), "11 ttl 63 9c4001bb"},
		} {
			if err := links[test.port].Send(bytes.Clone(test.frame)); err != nil {
				t.Fatal(err)
			}
			const after = "11 ttl 63 9c400050"
			if test.want == "" {
				if err := links[1].Send(up(line, mx, 80, nil).frame); err != nil {
					t.Fatal(err)
				}
				test.want = after
			}
			select {
			case got := <-out:
				if got != test.want {
					t.Errorf("%s: %q came out, want %q", test.what, got, test.want)
				}
			case <-ctx.Done():
				t.Fatalf("%s: nothing came out, want %q", test.what, test.want)
			}
		}
	}
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		addrs := startEmbedded(t)
		run(t, addrs.P4Runtime, addrs.Dataplane)
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		packets := freeAddr(t)
		run(t, startBMv2(t, path, 1, nil, []string{"--dp-grpc-server-addr", packets}), packets)
	})
}
