package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api/path"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/softswitch"
	"op25b/internal/store/storetest"
	"op25b/internal/tlsfiles/tlstest"
	"op25b/internal/wire"
)

// A gnmiPlant is an embedded switch with one host. Its documents are those of the worked example, with the addresses of the switch.
type gnmiPlant struct {
	t    *testing.T
	dir  string
	host wire.Link
	plug func() // attaches port 2, which is access-2
	sent uint64 // the number of frames sent that the rule smtp-all drops
}

func newGNMIPlant(t *testing.T) *gnmiPlant {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	near, far := wire.Pipe("access-1", "host")
	if err := sw.Attach(accessPort, near); err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	t.Cleanup(func() { _ = far.Close() })
	p := &gnmiPlant{t: t, dir: t.TempDir(), host: far, plug: func() {
		near, far := wire.Pipe("access-2", "host")
		t.Cleanup(func() { _ = far.Close() })
		if err := sw.Attach(2, near); err != nil {
			t.Error(err)
		}
	}}
	for _, name := range []string{"policy.yaml", "inventory.yaml", "exemptions.yaml"} {
		text, err := os.ReadFile(filepath.Join("../examples/spinnet-2006", name))
		if err != nil {
			t.Fatal(err)
		}
		at := strings.NewReplacer("127.0.0.1:9559", services.Addrs.P4Runtime, "127.0.0.1:9339", services.Addrs.GNMI).Replace(string(text))
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(at), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// send sends frames to a foreign mail server. The phase in force drops them under the rule smtp-all.
func (p *gnmiPlant) send(frames int) {
	p.t.Helper()
	drop := segment(p.t, v4(192<<24|2<<8|11), v4(203<<24|113<<8|129), 25)
	for range frames {
		if err := p.host.Send(drop); err != nil {
			p.t.Fatal(err)
		}
		p.sent++
	}
}

// A served is a controller that runs as a separate process.
type served struct {
	cmd  *exec.Cmd
	said *journal
	gnmi string
}

// serve starts a controller and waits until it is up.
func (p *gnmiPlant) serve(args ...string) *served {
	p.t.Helper()
	s := &served{said: newJournal()}
	s.cmd = exec.Command(buildBinary(p.t), append([]string{
		"serve", "--listen", "127.0.0.1:0", "--gnmi", "127.0.0.1:0", "--sample-every", "1s", "-f", p.dir, "--apply-if-empty", "--log-format", "json",
	}, args...)...)
	s.cmd.Stderr = s.said
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := s.said.await(ctx, 0, "controller up"); err != nil {
		p.t.Fatalf("%v; the log ends with\n%s", err, s.said.tail(5))
	}
	for line := range strings.SplitSeq(s.said.tail(journalLines), "\n") {
		var said struct{ Msg, GNMI string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "controller up" {
			s.gnmi = said.GNMI
		}
	}
	return s
}

// eventually calls done until it returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not come about", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

const (
	droppedPath = "/acl/interfaces/interface[id=access-1]/ingress-acl-sets/ingress-acl-set[set-name=op25b][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=6]/state/matched-packets"
	operPath    = "/interfaces/interface[name=access-1]/state/oper-status"
)

// TestGNMICBinary reads a controller's northbound gNMI with the program gnmic, over TLS with a token. It uses all encodings and modes.
func TestGNMICBinary(t *testing.T) {
	gnmic, err := exec.LookPath("gnmic")
	if err != nil {
		fmt.Println("SKIPPED TestGNMICBinary: gnmic is not in PATH: go install github.com/openconfig/gnmic@latest")
		t.Skip("no gnmic")
	}
	p := newGNMIPlant(t)
	files := tlstest.New(t).Dir(t, "127.0.0.1")
	token, entry, err := auth.NewToken("collector", auth.Viewer, "")
	if err != nil {
		t.Fatal(err)
	}
	access := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(access, fmt.Appendf(nil, "apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: collector, role: viewer, sha256: %s}\n", entry.SHA256), 0o600); err != nil {
		t.Fatal(err)
	}
	s := p.serve("--name", "noc-1", "--data-dir", filepath.Join(t.TempDir(), "data"), "--access", access, "--tls-cert", files.Cert, "--tls-key", files.Key)
	var then func() // if run waits for a text, it calls then after gnmic has printed the state of the first port; nil means no call
	// run returns the output of gnmic. It waits until gnmic ends, or until gnmic has printed the text until.
	run := func(until string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, gnmic, append([]string{"-a", s.gnmi, "--skip-verify"}, args...)...)
		out := newJournal()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			return "", err
		}
		if until != "" {
			if then != nil && out.await(ctx, 0, operPath+": UP") == nil {
				then()
			}
			err := out.await(ctx, 0, until)
			cancel()
			_ = cmd.Wait()
			return out.tail(journalLines), err
		}
		err := cmd.Wait()
		return out.tail(journalLines), err
	}
	password, bearer := []string{"-u", "collector", "-p", token}, []string{"--token", token}
	with := func(credentials []string, args ...string) []string {
		return append(credentials[:len(credentials):len(credentials)], args...)
	}

	if out, err := run("", with(password, "capabilities")...); err != nil || !strings.Contains(out, "op25b-filter") || !strings.Contains(out, "PROTO") {
		t.Errorf("capabilities: %s, %v", out, err)
	}
	eventually(t, "current counters", func() bool {
		out, err := run("", with(password, "get", "--format", "flat", "--target", "edge-1", "--path", operPath)...)
		return err == nil && strings.Contains(out, "UP")
	})
	p.send(3)
	is := func(n uint64) string { return fmt.Sprintf("%s: %d", droppedPath, n) }
	eventually(t, "3 packets", func() bool {
		out, _ := run("", with(bearer, "get", "--format", "flat", "--target", "edge-1", "--path", droppedPath, "-e", "proto")...)
		return strings.Contains(out, is(3))
	})
	for _, encoding := range []string{"json", "json_ietf", "proto"} {
		if out, err := run("", with(bearer, "get", "--format", "flat", "--target", "edge-1", "--path", droppedPath, "-e", encoding)...); err != nil || !strings.Contains(out, is(3)) {
			t.Errorf("get with %s: %s, %v", encoding, out, err)
		}
	}
	if out, err := run("", with(password, "subscribe", "--format", "flat", "--mode", "once", "--target", "edge-1", "--path", droppedPath, "-e", "proto")...); err != nil || !strings.Contains(out, is(3)) {
		t.Errorf("once: %s, %v", out, err)
	}
	for _, encoding := range []string{"json", "json_ietf", "proto"} {
		p.send(1)
		if out, err := run(is(p.sent), with(password, "subscribe", "--format", "flat", "--stream-mode", "sample", "--sample-interval", "1s", "--target", "edge-1", "--path", droppedPath, "-e", encoding)...); err != nil {
			t.Errorf("sample with %s: %s, %v", encoding, out, err)
		}
	}
	then = p.plug
	if out, err := run(strings.Replace(operPath, "access-1", "access-2", 1)+": UP",
		with(password, "subscribe", "--format", "flat", "--stream-mode", "on-change", "--target", "edge-1", "--path", "/interfaces/interface/state/oper-status", "-e", "proto")...); err != nil {
		t.Errorf("on change: %s, %v", out, err)
	}
	for _, c := range []struct{ want, args string }{
		{"the bearer token is not in the access file; /gnmi.gNMI/Get requires the role viewer", "-u collector -p wrong get --target edge-1 --path /acl"},
		{`prefix.target "edge-9" is unknown; valid: edge-1`, "get --target edge-9 --path /acl"},
		{"Set is not supported: op25b serve only reports the state of the switches over gNMI", "set --target edge-1 --delete /acl"},
	} {
		args := strings.Fields(c.args)
		if args[0] != "-u" {
			args = with(password, args...)
		}
		if out, err := run("", args...); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s, %v", c.args, out, err)
		}
	}
}

// TestNorthboundTakeOver kills the owner of a switch. The other controller, which has forwarded calls until then, must serve the switch
// within the time of the lease. No packet may be counted twice or lost.
func TestNorthboundTakeOver(t *testing.T) {
	p := newGNMIPlant(t)
	etcd := storetest.Start(t).Endpoint()
	one := p.serve("--name", "noc-1", "--etcd", etcd)
	two := p.serve("--name", "noc-2", "--etcd", etcd)
	conn, err := grpc.NewClient("passthrough:///"+two.gnmi, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := gpb.NewGNMIClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	at, err := path.ParsePath(droppedPath)
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	packets := func() (uint64, bool) {
		r, err := client.Get(ctx, &gpb.GetRequest{Prefix: &gpb.Path{Target: "edge-1"}, Path: []*gpb.Path{at}, Encoding: gpb.Encoding_PROTO})
		if failed = err; err != nil {
			return 0, false
		}
		return r.GetNotification()[0].GetUpdate()[0].GetVal().GetUintVal(), true
	}
	counted := func(n uint64) func() bool {
		return func() bool {
			got, ok := packets()
			if ok && got > n {
				t.Fatalf("%d packets were counted, and %d were sent", got, n)
			}
			return ok && got == n
		}
	}
	eventually(t, "an owner", func() bool {
		return one.said.await(canceled(), 0, `"state":"converged"`, `"controller":"noc-1"`) == nil
	})
	p.send(7)
	eventually(t, "7 packets", counted(7))
	stream, err := client.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: &gpb.SubscriptionList{
		Prefix: &gpb.Path{Target: "edge-1"}, Encoding: gpb.Encoding_PROTO, Subscription: []*gpb.Subscription{{Path: at, Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: 1e9}},
	}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; _, err = stream.Recv() {
	}
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "forwarded to noc-1 at "+one.gnmi) {
		t.Errorf("the forwarded stream ended with %v", err)
	}
	p.send(2)
	eventually(t, "9 packets", counted(9))
	took := time.Since(killed)
	fmt.Printf("NorthboundTakeOver: the other controller served the switch %v after kill -9 of its owner\n", took.Round(10*time.Millisecond))
	if most := 15 * time.Second; took > most { // the lease takes 3 to 3.5 s, and the machine may be busy
		t.Errorf("it took %v, want at most %v; the last error was %v", took, most, failed)
	}
	p.send(1)
	eventually(t, "10 packets", counted(10))
}

// canceled returns a context that is already cancelled.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
