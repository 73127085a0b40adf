package p4rt

import (
	"bytes"
	"cmp"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"

	"op25b/internal/softswitch"
)

// A target is a kind of real switch. start starts such a switch without a program.
type target struct {
	name string
	// strict is set for a server that follows the specification in all points in which bmv2 does not. Such a server
	// remembers the highest election id and refuses unknown device ids. If it cannot load a device configuration, it
	// refuses the configuration and keeps the previous one. It answers a stream message that it cannot use.
	strict bool
	start  func(t testing.TB) Config
}

func targets() []target {
	return []target{{"embedded", true, startEmbedded}, {"bmv2", false, startBMv2}}
}

// onRealSwitches runs a test on the embedded switch and, if bmv2 is installed, on bmv2.
func onRealSwitches(t *testing.T, test func(t *testing.T, on target)) {
	for _, on := range targets() {
		t.Run(on.name, func(t *testing.T) { test(t, on) })
	}
}

func startEmbedded(t testing.TB) Config {
	t.Helper()
	cfg, stop := embeddedAt(t, "127.0.0.1:0")
	t.Cleanup(stop)
	return cfg
}

func embeddedAt(t testing.TB, addr string) (_ Config, stop func()) {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: testDevice})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: addr})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Addr: services.Addrs.P4Runtime, DeviceID: testDevice, ElectionID: testElection}, func() {
		sw.Close()
		services.Close()
	}
}

// startBMv2 starts the simple_switch_grpc that OP25B_BMV2 names or that is found in PATH. Packets are exchanged over
// gRPC, so that the switch needs neither root nor interfaces.
func startBMv2(t testing.TB) Config {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("OP25B_BMV2"), "simple_switch_grpc"))
	if err != nil {
		t.Skip("bmv2 skipped: no simple_switch_grpc on PATH or in OP25B_BMV2; the image p4lang/behavioral-model has one")
	}
	addr, dataplane := freeAddr(t), freeAddr(t)
	var said bytes.Buffer
	cmd := exec.Command(path, "--no-p4", "--device-id", strconv.Itoa(testDevice), "--",
		"--grpc-server-addr", addr, "--dp-grpc-server-addr", dataplane, "--cpu-port", "510")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("simple_switch_grpc said:\n%s", said.String())
		}
	})
	cfg := Config{Addr: addr, DeviceID: testDevice, ElectionID: testElection, DialTimeout: time.Minute}
	patient := cfg
	patient.DialOptions = []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.WaitForReady(true))}
	r, err := DialReader(t.Context(), patient)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	return cfg
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Ids of testdata/session.p4, which p4c derives from the names.
const (
	routeTable   = 41639819
	hostTable    = 33706257
	countForward = 28489486
	forward      = 21447042
	learnDigest  = 398033514
)

func sessionProgram(t testing.TB) (*configv1.P4Info, []byte) {
	t.Helper()
	program, err := os.ReadFile(filepath.Join("testdata", "session.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "session.p4info.txtpb"))
	if err != nil {
		t.Fatal(err)
	}
	info := new(configv1.P4Info)
	if err := prototext.Unmarshal(text, info); err != nil {
		t.Fatal(err)
	}
	return info, program
}

// programmed returns a primary session with a switch that runs testdata/session.p4.
func programmed(t testing.TB, on target) *Session {
	t.Helper()
	s := dialed(t, on.start(t))
	info, program := sessionProgram(t)
	if pushed, err := s.EnsurePipeline(t.Context(), info, program); err != nil || !pushed {
		t.Fatalf("pushed %v, error %v", pushed, err)
	}
	return s
}

// canonicalBytes returns n as a canonical P4Runtime bit string: without leading zeros, but at least one byte
// (section 8.3).
func canonicalBytes(n uint64) []byte {
	b := []byte{byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	if b = bytes.TrimLeft(b, "\x00"); len(b) == 0 {
		return []byte{0}
	}
	return b
}

func action(id uint32, port uint64) *p4v1.TableAction {
	return &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{
		ActionId: id, Params: []*p4v1.Action_Param{{ParamId: 1, Value: canonicalBytes(port)}},
	}}}
}

func route(dst uint64, port uint64) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
		TableId: routeTable,
		Match: []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Lpm{
			Lpm: &p4v1.FieldMatch_LPM{Value: canonicalBytes(dst), PrefixLen: 48},
		}}},
		Action: action(countForward, port),
	}}}
}

func host(src uint64, idle time.Duration) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
		TableId: hostTable,
		Match: []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{
			Exact: &p4v1.FieldMatch_Exact{Value: canonicalBytes(src)},
		}}},
		Action:        action(forward, 2),
		IdleTimeoutNs: idle.Nanoseconds(),
	}}}
}

func updatesOf(kind p4v1.Update_Type, entities ...*p4v1.Entity) []*p4v1.Update {
	updates := make([]*p4v1.Update, len(entities))
	for i, e := range entities {
		updates[i] = &p4v1.Update{Type: kind, Entity: e}
	}
	return updates
}
