package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"

	"op25b/internal/agent"
	"op25b/internal/demo"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
)

// findBMv2 returns the path of simple_switch_grpc. If it is not installed, findBMv2 returns the reason.
func findBMv2() (path, reason string) {
	name := os.Getenv("OP25B_BMV2")
	if name == "" {
		name = "simple_switch_grpc"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Sprintf("bmv2 is not here (%v): install the package p4lang-bmv2 or build github.com/p4lang/behavioral-model, "+
			"and put simple_switch_grpc on PATH or name it by OP25B_BMV2", err)
	}
	return path, ""
}

// freeAddr returns a free local address.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startBMv2 starts simple_switch_grpc with a CPU port, but without a program, and waits until it answers. The switch ends with the test.
func startBMv2(t testing.TB, path string, deviceID uint64, interfaces, targetArgs []string) (p4runtime string) {
	t.Helper()
	return startBareBMv2(t, path, deviceID, interfaces, append([]string{"--cpu-port", fmt.Sprint(pipeline.CPUPort)}, targetArgs...))
}

// startBareBMv2 is like startBMv2, but the switch has no CPU port.
func startBareBMv2(t testing.TB, path string, deviceID uint64, interfaces, targetArgs []string) (p4runtime string) {
	t.Helper()
	p4runtime = freeAddr(t)
	args := append([]string{"--no-p4", "--device-id", fmt.Sprint(deviceID)}, interfaces...)
	args = append(append(args, "--", "--grpc-server-addr", p4runtime), targetArgs...)
	var said bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, errors.New("no answer within a minute"))
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		cancel()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(path), said.String())
		}
	})
	for {
		reader, err := p4rt.DialReader(ctx, p4rt.Config{Addr: p4runtime, DeviceID: deviceID})
		if err == nil {
			_ = reader.Close()
			return p4runtime
		}
		if ctx.Err() != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
	}
}

// dialPackets opens the packet stream of a switch that has just received its first program. bmv2 reports the program a moment before it
// accepts packets, and ends a stream that is opened in between. dialPackets therefore waits until a frame from an access port arrives at a
// network port.
func dialPackets(t testing.TB, addr string, deviceID uint64, access, network pipeline.Port) *dataplane.Client {
	t.Helper()
	return dialPacketsWith(t, addr, deviceID, access, network, marker(pipeline.MaxPort+1)) // this marker differs from every marker that a test waits for
}

func dialPacketsWith(t testing.TB, addr string, deviceID uint64, access, network pipeline.Port, frame []byte) *dataplane.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		client, err := dataplane.Dial(ctx, addr, deviceID)
		if err != nil {
			t.Fatal(err)
		}
		err = tryPackets(ctx, client, access, network, frame)
		if err == nil {
			return client
		}
		_ = client.Close()
		if !strings.Contains(err.Error(), "not ready") {
			t.Fatal(err)
		}
	}
}

func tryPackets(ctx context.Context, client *dataplane.Client, access, network pipeline.Port, frame []byte) error {
	in, err := client.Port(uint32(access), "in")
	if err != nil {
		return err
	}
	out, err := client.Port(uint32(network), "out")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	errCame := errors.New("it came")
	served := make(chan error, 1)
	go func() { served <- out.Serve(ctx, func([]byte) { cancel(errCame) }) }()
	err = in.Send(frame)
	if ended := <-served; !errors.Is(context.Cause(ctx), errCame) {
		return errors.Join(err, ended, context.Cause(ctx))
	}
	return errors.Join(in.Close(), out.Close())
}

// startAgent starts a gNMI agent for a switch. The agent ends with the test.
func startAgent(t *testing.T, p4runtime string, sw *policy.Switch, links agent.Links) (gnmi string) {
	t.Helper()
	reader, err := p4rt.DialReader(t.Context(), p4rt.Config{Addr: p4runtime, DeviceID: uint64(sw.DeviceID)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	ports := map[uint32]string{}
	for _, p := range sw.Ports {
		ports[uint32(p.Number)] = p.Name
	}
	source, err := agent.New(reader, agent.Config{Ports: ports, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Snapshot(t.Context(), 0); err != nil { // as op25b agent does at its start
		t.Fatal(err)
	}
	server, err := openconfig.NewServer(source, openconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, server)
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(listener) }()
	t.Cleanup(func() { g.Stop(); <-served })
	return listener.Addr().String()
}

// TestScenarioBMv2 plays the example policy on the real bmv2 with every kind of access. The hosts are attached over bmv2's gRPC data plane, so
// the test needs no privileges.
func TestScenarioBMv2(t *testing.T) {
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	for _, lines := range allLines {
		t.Run(string(lines), func(t *testing.T) {
			t.Parallel()
			_, sw := bundle(t)
			play(t, sw, lines, bmv2Rig(t, path, sw))
		})
	}
}

// bmv2Rig starts bmv2 with an agent, and attaches hosts over bmv2's gRPC data plane. Both end with the test.
func bmv2Rig(t *testing.T, path string, sw *policy.Switch) demo.Rig {
	t.Helper()
	packets := freeAddr(t)
	p4runtime := startBMv2(t, path, uint64(sw.DeviceID), nil, []string{"--dp-grpc-server-addr", packets})
	gnmi := startAgent(t, p4runtime, sw, nil)
	var client *dataplane.Client // dialled for the first host, because bmv2 refuses a packet stream before it has a program
	t.Cleanup(func() {
		if client != nil {
			_ = client.Close()
		}
	})
	return demo.Rig{
		DeviceID: uint64(sw.DeviceID), P4Runtime: p4runtime, GNMI: gnmi,
		Link: func(port pipeline.Port, name string) (wire.Link, error) {
			if client == nil {
				client = dialPackets(t, packets, uint64(sw.DeviceID), 1, 11)
			}
			return client.Port(uint32(port), name)
		},
	}
}

// TestTargets prints which switches the scenario runs on. With -v, it prints them even if the tests pass.
func TestTargets(t *testing.T) {
	fmt.Println("target embedded: here")
	if path, reason := findBMv2(); reason != "" {
		fmt.Println("target bmv2: SKIPPED:", reason)
	} else {
		fmt.Println("target bmv2:", path)
	}
}
