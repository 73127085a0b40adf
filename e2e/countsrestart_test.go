package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/internal/wire"
)

// A countsPlant is a switch, an agent if the switch is bmv2, and a controller. Each is a process that the test can kill and start again.
type countsPlant struct {
	t                       *testing.T
	bmv2                    string // the path of bmv2; empty for the embedded switch
	p4runtime, gnmi, frames string // the addresses of the switch and its agent
	api                     string
	sw, agent               *running
	controller              *served
	host                    wire.Link // nil until the running switch has received frames

	mu    sync.Mutex // guards everything below
	sent  uint64     // the number of frames sent that the rule smtp-all drops
	shown uint64     // the controller's total of that rule
	wrong error
}

// countedRule is the rule that counts the frames of a countsPlant.
const countedRule = "smtp-all"

func newCountsPlant(t *testing.T, bmv2 string) *countsPlant {
	t.Helper()
	p := &countsPlant{t: t, bmv2: bmv2, p4runtime: freeAddr(t), gnmi: freeAddr(t), frames: freeAddr(t), api: freeAddr(t)}
	dir := t.TempDir()
	for _, name := range []string{"policy.yaml", "inventory.yaml", "exemptions.yaml"} {
		text, err := os.ReadFile(filepath.Join("../examples/spinnet-2006", name))
		if err != nil {
			t.Fatal(err)
		}
		at := strings.NewReplacer("127.0.0.1:9559", p.p4runtime, "127.0.0.1:9339", p.gnmi).Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(at), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.startSwitch()
	p.startAgent()
	gp := &gnmiPlant{t: t, dir: dir}
	p.controller = gp.serve("--name", "noc-1", "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen", p.api)
	p.converged(0)
	p.watch()
	return p
}

// A running is a process that was started. ended is closed when the process has ended.
type running struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// kill kills the process and waits for its end.
func (r *running) kill() {
	_ = r.cmd.Process.Kill() // the process may have ended already
	<-r.ended
}

// start starts a process that is killed at the end of the test.
func (p *countsPlant) start(name string, args ...string) *running {
	p.t.Helper()
	said := newJournal()
	cmd := exec.Command(name, args...)
	cmd.Dir = p.t.TempDir()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	r := &running{cmd, make(chan struct{})}
	go func() { _ = cmd.Wait(); close(r.ended) }()
	p.t.Cleanup(func() {
		r.kill()
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", filepath.Base(name), said.tail(10))
		}
	})
	return r
}

func (p *countsPlant) startSwitch() {
	p.t.Helper()
	p.host = nil
	if p.bmv2 != "" {
		p.sw = p.start(p.bmv2, "--no-p4", "--device-id", "1", "--", "--grpc-server-addr", p.p4runtime, "--dp-grpc-server-addr", p.frames)
		return
	}
	p.sw = p.start(buildBinary(p.t), append([]string{"switch", "--p4runtime", p.p4runtime, "--gnmi", p.gnmi, "--dataplane", p.frames}, attached()...)...)
}

// attached returns the flags for the ports of the worked example.
func attached() []string {
	return strings.Fields("-i 1@dataplane:access-1 -i 2@dataplane:access-2 -i 3@dataplane:access-3 -i 4@dataplane:access-4 " +
		"-i 11@dataplane:core-relay -i 12@dataplane:core-carrier -i 13@dataplane:core-provider")
}

// startAgent starts the agent repeatedly, because the agent ends at once while its switch does not answer.
func (p *countsPlant) startAgent() {
	p.t.Helper()
	if p.bmv2 == "" {
		return
	}
	eventually(p.t, "an agent", func() bool {
		p.agent = p.start(buildBinary(p.t), append([]string{"agent", "--p4runtime", p.p4runtime, "--gnmi", p.gnmi}, attached()...)...)
		for {
			select {
			case <-p.agent.ended:
				return false
			case <-time.After(50 * time.Millisecond):
				if c, err := net.Dial("tcp", p.gnmi); err == nil {
					_ = c.Close()
					return true
				}
			}
		}
	})
}

// converged waits until the controller logs that the switch is converged, after the given line of its log.
func (p *countsPlant) converged(after int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := p.controller.said.await(ctx, after, `"state":"converged"`); err != nil {
		p.t.Fatalf("%v; the controller said:\n%s", err, p.controller.said.tail(10))
	}
}

// watch reads the metrics continuously. The total of the rule must neither fall nor exceed the number of frames sent.
func (p *countsPlant) watch() {
	ctx, cancel := context.WithCancel(p.t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			families, err := metricsOf(ctx, p.api)
			if err == nil {
				p.see(sumBy(families["op25b_rule_packets_total"], "rule")[countedRule])
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	p.t.Cleanup(func() { cancel(); watching.Wait() })
}

func (p *countsPlant) see(total uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case total < p.shown:
		p.wrong = errors.Join(p.wrong, fmt.Errorf("the total fell from %d to %d", p.shown, total))
	case total > p.sent:
		p.wrong = errors.Join(p.wrong, fmt.Errorf("the total is %d, and only %d frames were sent", total, p.sent))
	}
	p.shown = total
}

// send sends frames that the rule drops.
func (p *countsPlant) send(frames int) {
	p.t.Helper()
	if p.host == nil { // the switch accepts only one client
		client := dialPackets(p.t, p.frames, 1, 1, 11)
		p.t.Cleanup(func() { _ = client.Close() })
		host, err := client.Port(1, "host")
		if err != nil {
			p.t.Fatal(err)
		}
		p.host = host
	}
	drop := segment(p.t, v4(192<<24|2<<8|11), v4(203<<24|113<<8|129), 25)
	for range frames {
		p.mu.Lock()
		p.sent++
		p.mu.Unlock()
		if err := p.host.Send(drop); err != nil {
			p.t.Fatal(err)
		}
	}
}

// complete waits until the total equals the number of frames sent.
func (p *countsPlant) complete(when string) {
	p.t.Helper()
	var shown, sent uint64
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		p.mu.Lock()
		wrong := p.wrong
		shown, sent = p.shown, p.sent
		p.mu.Unlock()
		if wrong != nil {
			p.t.Fatalf("%s: %v", when, wrong)
		}
		if shown == sent {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s: the total is %d, and %d frames were sent", when, shown, sent)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestCountsOverRestarts kills and restarts the parts between the packets and /metrics. The total of a rule must never fall, must never
// exceed the number of frames sent, and must be complete afterwards. Before each kill of the switch, the test waits until the controller has
// a sample of all packets.
func TestCountsOverRestarts(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		overRestarts(newCountsPlant(t, ""))
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		overRestarts(newCountsPlant(t, path))
	})
}

func overRestarts(p *countsPlant) {
	p.send(5)
	p.complete("at the start")
	if p.bmv2 != "" {
		p.agent.kill()
		p.send(3)
		p.startAgent()
		p.complete("after a start of the agent")
		p.send(2)
		p.complete("a while after a start of the agent")
	}
	frames := []int{4, 40} // fewer frames, and then more, than the switch had counted before
	if p.bmv2 != "" {
		frames = []int{4, 3} // fewer frames both times, because the agent detects a restart by a counter that has fallen
	}
	for _, frames := range frames {
		from := p.controller.said.end()
		p.sw.kill()
		p.startSwitch()
		p.converged(from)
		p.send(frames)
		p.complete(fmt.Sprintf("after a start of the switch and %d frames", frames))
		p.send(1)
		p.complete("and one more")
	}
	if p.bmv2 != "" { // both restart together, so the new agent does not know when the counters began
		p.agent.kill()
		from := p.controller.said.end()
		p.sw.kill()
		p.startSwitch()
		p.converged(from)
		p.startAgent()
		p.complete("after a start of both")
	}
}
