package p4source

import (
	"context"
	"net"
	"testing"

	"op25b/internal/openconfig"
)

func TestKernel(t *testing.T) {
	// The loopback interface exists on every machine, and counts the same frames in both
	// directions.
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skipf("no loopback interface named lo: %v", err)
	}
	before, ok, err := (Kernel{}).Link(t.Context(), "lo")
	if err != nil || !ok {
		t.Fatalf("lo: %v, %v", ok, err)
	}
	if before.Index != uint32(lo.Index) || (before.Oper == openconfig.OperUp) != (lo.Flags&net.FlagRunning != 0) || before.Admin == "" || before.Counters == nil {
		t.Errorf("got %+v, want index %d, flags %v", before, lo.Index, lo.Flags)
	}
	l, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.WriteTo(make([]byte, 1000), l.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.ReadFrom(make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	after, _, err := (Kernel{}).Link(t.Context(), "lo")
	if err != nil {
		t.Fatal(err)
	}
	const frame = 1000 + 8 + 20 // with the UDP and IPv4 headers; the Ethernet header of the loopback interface is extra
	if after.Counters.InPkts <= before.Counters.InPkts || after.Counters.OutOctets < before.Counters.OutOctets+frame {
		t.Errorf("before %+v\nafter  %+v", before.Counters, after.Counters)
	}
	if _, ok, err := (Kernel{}).Link(t.Context(), "no-such-link"); ok || err != nil {
		t.Errorf("a link that is not there: %v, %v", ok, err)
	}
}

// TestKernelWatch verifies that Watch calls changed at the start and ends with its context. goleak
// checks its goroutines.
func TestKernelWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		done <- Kernel{}.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
	}()
	<-told
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
