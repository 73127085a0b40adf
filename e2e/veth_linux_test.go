package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"op25b/internal/agent"
	"op25b/internal/demo"
	"op25b/internal/native"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
	"op25b/internal/wire"
)

// vethReason returns the reason why veth pairs cannot be created on this machine, or "" if they can. They require root, and a container
// may lack the permission.
func vethReason() string {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "op25b-probe"
	probe := &netlink.Veth{LinkAttrs: attrs, PeerName: "op25b-probe-h"}
	if err := netlink.LinkAdd(probe); err != nil {
		return fmt.Sprintf("veth pairs cannot be made here (%v): run as root, with CAP_NET_ADMIN", err)
	}
	if err := netlink.LinkDel(probe); err != nil {
		return fmt.Sprintf("veth pairs cannot be removed here (%v)", err)
	}
	return ""
}

// hostEnd returns the name of the host's end of a port's veth pair. The switch's end has the port's name.
func hostEnd(port string) string { return port + "-h" }

// vethPairs creates a veth pair for each port of the switch. The pairs exist until the test ends.
func vethPairs(t *testing.T, sw *policy.Switch) {
	t.Helper()
	for _, p := range sw.Ports {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = p.Name
		pair := &netlink.Veth{LinkAttrs: attrs, PeerName: hostEnd(p.Name)}
		if err := netlink.LinkAdd(pair); err != nil {
			t.Fatalf("veth pair %s and %s: %v", p.Name, hostEnd(p.Name), err)
		}
		t.Cleanup(func() {
			if err := netlink.LinkDel(pair); err != nil {
				t.Errorf("veth pair %s: %v", p.Name, err)
			}
		})
		for _, name := range []string{p.Name, hostEnd(p.Name)} {
			// The kernel must not send on these wires, because the hosts have their own stacks.
			err := os.WriteFile(fmt.Sprintf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name), []byte("1"), 0)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			link, err := netlink.LinkByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkSetUp(link); err != nil {
				t.Fatalf("%s up: %v", name, err)
			}
		}
	}
}

func openHostEnd(sw *policy.Switch) func(pipeline.Port, string) (wire.Link, error) {
	return func(number pipeline.Port, _ string) (wire.Link, error) {
		for _, p := range sw.Ports {
			if p.Number == number {
				return wire.OpenInterface(hostEnd(p.Name))
			}
		}
		return nil, fmt.Errorf("no port %d", number)
	}
}

// TestScenarioBMv2Veth plays the rollout of 2006 on the real bmv2, whose ports are kernel interfaces.
func TestScenarioBMv2Veth(t *testing.T) {
	path, reason := findBMv2()
	if reason == "" {
		reason = vethReason()
	}
	wants(t, "bmv2", reason)
	_, sw := bundle(t)
	vethPairs(t, sw)
	var interfaces []string
	links := agent.Links{}
	for _, p := range sw.Ports {
		interfaces = append(interfaces, "-i", fmt.Sprintf("%d@%s", p.Number, p.Name))
		links[p.Name] = true
	}
	p4runtime := startBMv2(t, path, uint64(sw.DeviceID), interfaces, nil)
	play(t, sw, demo.Plain, demo.Rig{
		DeviceID: uint64(sw.DeviceID), P4Runtime: p4runtime, GNMI: startAgent(t, p4runtime, sw, links), Link: openHostEnd(sw),
	})
}

// TestScenarioEmbeddedVeth plays the rollout of 2006 on the embedded switch, whose ports are kernel interfaces.
func TestScenarioEmbeddedVeth(t *testing.T) {
	wants(t, "embedded", vethReason())
	_, sw := bundle(t)
	vethPairs(t, sw)
	device, err := softswitch.New(softswitch.Options{DeviceID: uint64(sw.DeviceID), Native: []*engine.Native{native.Native}})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for _, p := range sw.Ports {
		link, err := wire.OpenInterface(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := device.Attach(uint32(p.Number), link); err != nil {
			t.Fatal(err)
		}
	}
	services, err := device.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	play(t, sw, demo.Plain, demo.Rig{
		DeviceID: uint64(sw.DeviceID), P4Runtime: services.Addrs.P4Runtime, GNMI: services.Addrs.GNMI, Link: openHostEnd(sw),
	})
}
