package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"op25b/internal/bring/bringtest"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/wire"
)

// foreignClient returns the path of a program. If the program is not installed, it skips the test with a line that states where to
// get the program.
func foreignClient(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		fmt.Printf("SKIPPED %s: %s is not in PATH: go install %s\n", t.Name(), name, from)
		t.Skip("no " + name)
	}
	return path
}

// countedServers returns the addresses of the gNMI servers of a switch and of its agent. The switch has dropped three frames under
// rule 5.
func countedServers(t *testing.T) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1, Hostname: "edge-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	near, far := wire.Pipe("access-1", "host")
	t.Cleanup(func() { _ = far.Close() })
	if err := sw.Attach(accessPort, near); err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	session, err := p4rt.Dial(ctx, p4rt.Config{Addr: services.Addrs.P4Runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := bringtest.Converge(ctx, session, filtering(0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := far.Send(segment(t, v4(192<<24|2<<8|11), v4(203<<24|113<<8|129), 25)); err != nil {
			t.Fatal(err)
		}
	}
	ports := []policy.Port{{Number: accessPort, Name: "access-1"}}
	agent := startAgent(t, services.Addrs.P4Runtime, &policy.Switch{DeviceID: 1, Ports: ports}, nil)
	return map[string]string{"switch": services.Addrs.GNMI, "agent": agent}
}

// A clientCase is a call of a foreign client, and the texts that its output must contain.
type clientCase struct {
	name, args string
	want       []string
}

// plainValues removes the text that gnmi_cli writes around a value in the encoding JSON.
var plainValues = strings.NewReplacer("{Deprecated TypedValue_JsonVal ", "", "}", "")

// run runs the client until its output contains all texts, or until the client ends. "3x text" as the last text means that it must
// occur three times.
func (c clientCase) run(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := newJournal()
	cmd := exec.CommandContext(ctx, program, append(args, strings.Fields(c.args)...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	missing := func() string {
		text := plainValues.Replace(out.tail(journalLines))
		for _, want := range c.want {
			times := 1
			if n, rest, many := strings.Cut(want, "x "); many && len(n) == 1 {
				times, want = int(n[0]-'0'), rest
			}
			if strings.Count(text, want) < times {
				return want
			}
		}
		return ""
	}
	for last := false; ; {
		if missing() == "" {
			cancel()
			<-ended
			return
		}
		if last {
			t.Errorf("%s: the output has no %q:\n%s", c.name, missing(), out.tail(40))
			return
		}
		select {
		case <-ended:
			last = true
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// These are the paths of the counters of countedServers.
const (
	setPath   = "/acl/acl-sets/acl-set[name=op25b][type=ACL_MIXED]"
	entryPath = "/acl/interfaces/interface[id=access-1]/ingress-acl-sets/ingress-acl-set[set-name=op25b][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=5]/state/matched-packets"
	allStates = "/interfaces/interface[name=*]/state/oper-status"
)

var gnmicCases = []clientCase{
	{"capabilities", "capabilities", []string{"openconfig-interfaces", "openconfig-acl", "openconfig-system", "op25b-filter", "JSON_IETF", "PROTO"}},
	{"get json", "get -e json --path " + entryPath, []string{"matched-packets: 3"}},
	{"get json_ietf", "get -e json_ietf --path " + entryPath, []string{"matched-packets: 3"}},
	{"get proto", "get -e proto --path " + entryPath, []string{"matched-packets: 3"}},
	{"get with a model", "get -e proto --model openconfig-acl --path " + entryPath, []string{"matched-packets: 3"}},
	{"get with prefix and target", "get -e proto --target edge-1 --prefix /interfaces/interface[name=access-1] --path state/oper-status", []string{"oper-status: UP"}},
	{"system", "get -e proto --path /system/state", []string{"current-datetime: 2", "software-version: "}},
	{"counter-capability", "get -e json_ietf --path /acl/state/counter-capability", []string{"INTERFACE_AGGREGATE"}},
	{"aggregate", "get -e proto --path " + setPath + "/acl-entries/acl-entry[sequence-id=5]/state", []string{"matched-packets: 3", "matched-octets: 180"}},
	{"lines", "get -e proto --path " + setPath + "/lines/line[id=*]/state", []string{"stopped-packets: 3", "stopped-octets: 180", "passed-packets: 0"}},
	{"legs", "get -e proto --path " + setPath + "/leg-entries/leg-entry[epoch=*][leg=*][sequence-id=5]/state", []string{"matched-packets: 3", "matched-octets: 180"}},
	{"once", "subscribe --mode once -e proto --path " + entryPath, []string{"matched-packets: 3"}},
	{"once with a wildcard", "subscribe --mode once -e proto --path " + allStates, []string{"access-1]/state/oper-status: UP"}},
	{"once of a set", "subscribe --mode once -e json_ietf --path " + setPath, []string{"stopped-packets: 3"}},
	{"sample", "subscribe --mode stream --stream-mode sample --sample-interval 1s -e proto --path " + entryPath, []string{"3x matched-packets: 3"}},
	{"on-change", "subscribe --mode stream --stream-mode on-change -e proto --path " + allStates, []string{"oper-status: UP"}},
	{"heartbeat", "subscribe --mode stream --stream-mode on-change --heartbeat-interval 1s -e proto --path " + allStates, []string{"3x oper-status: UP"}},
	{
		"suppress-redundant with a heartbeat",
		"subscribe --mode stream --stream-mode sample --sample-interval 1s --suppress-redundant --heartbeat-interval 2s -e proto --path " + entryPath,
		[]string{"2x matched-packets: 3"},
	},
	{"a path that is not served", "get -e proto --path /qos", []string{"qos"}},
	{"an interval that is too short", "subscribe --mode stream --stream-mode sample --sample-interval 10ms --log -e proto --path " + entryPath, []string{"sample_interval of 10000000 ns is not supported"}},
}

// TestGNMICOfSwitchAndAgent reads the embedded switch and an agent with the program gnmic, in all modes.
func TestGNMICOfSwitchAndAgent(t *testing.T) {
	gnmic := foreignClient(t, "gnmic", "github.com/openconfig/gnmic@latest")
	for server, addr := range countedServers(t) {
		for _, c := range gnmicCases {
			t.Run(server+"/"+c.name, func(t *testing.T) {
				args := []string{"-a", addr, "--insecure"}
				if c.args != "capabilities" { // gnmic does not print capabilities in the flat format
					args = append(args, "--format", "flat")
				}
				c.run(t, gnmic, args...)
			})
		}
	}
}

var gnmiCLICases = []clientCase{
	{"capabilities", "-capabilities", []string{`"op25b-filter"`, "JSON_IETF"}},
	{"once", "-query_type once -query /acl/acl-sets", []string{`"stopped-packets": 3`, `"matched-octets": 180`}},
	{"poll", "-query_type polling -polling_interval 100ms -count 3 -query /interfaces/interface[name=*]/state/oper-status", []string{`3x "oper-status": UP`}},
	{"stream", "-query_type streaming -streaming_duration 3s -query /interfaces/interface[name=*]/state/oper-status", []string{`"oper-status": UP`}},
}

// TestGNMICLI reads the embedded switch and an agent with openconfig's gnmi_cli, which also polls.
func TestGNMICLI(t *testing.T) {
	cli := foreignClient(t, "gnmi_cli", "github.com/openconfig/gnmi/cmd/gnmi_cli@latest")
	for server, addr := range countedServers(t) {
		for _, c := range gnmiCLICases {
			t.Run(server+"/"+c.name, func(t *testing.T) {
				c.run(t, cli, "-address", addr, "-insecure", "-target", "edge-1", "-timeout", "10s")
			})
		}
	}
}
