package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/e2e/budget"
	"op25b/internal/lease/mailserver"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// A daemon is an op25b command that runs as a separate process.
type daemon struct {
	cmd    *exec.Cmd
	said   sync.WaitGroup // done when stderr ends
	log    strings.Builder
	memory *budget.Budget
}

// daemonMiB is the memory limit of a daemon, in MiB. It is higher than the memory limits that the tests check.
const daemonMiB = 1536

// running holds the running daemons, by script and name.
var running sync.Map

type daemonKey struct {
	ts   *testscript.TestScript
	name string
}

// start NAME ARGS... starts op25b with the given arguments and waits until it logs that it is up. If that log line contains an
// address, start sets NAME to it, and NAME_LEASES to the address for reports of logins. The daemon ends with the script at the latest.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARGS...")
	}
	exe, err := exec.LookPath("op25b")
	if path, found := lookPath(ts.Getenv("PATH"), "op25b"); found {
		exe, err = path, nil
	}
	ts.Check(err)
	env := append(os.Environ(), "HOME="+ts.Getenv("HOME"), "PATH="+ts.Getenv("PATH"))
	d, said, err := launch(exe, ts.MkAbs("."), env, args[1:])
	ts.Check(err)
	if addr, ok := said["listen"].(string); ok {
		ts.Setenv(args[0], addr)
	}
	if addr, ok := said["leases"].(string); ok {
		ts.Setenv(args[0]+"_LEASES", addr)
	}
	key := daemonKey{ts, args[0]}
	running.Store(key, d)
	ts.Defer(func() {
		if _, is := running.LoadAndDelete(key); is {
			ts.Check(d.end(syscall.SIGTERM))
		}
	})
}

// launch starts op25b with the given arguments and waits until it logs that it is up. The returned map said contains the fields of
// that log line.
func launch(exe, dir string, env, args []string) (d *daemon, said map[string]any, err error) {
	d = &daemon{cmd: exec.Command(exe, append(args, "--log-format", "json")...)}
	d.cmd.Dir, d.cmd.Env = dir, env
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, nil, err
	}
	up, ended := make(chan map[string]any, 1), make(chan struct{})
	d.memory = budget.Start("op25b "+args[0], d.cmd.Process, daemonMiB, ended)
	d.said.Go(func() {
		defer close(ended)
		defer close(up)
		told := false
		for lines := bufio.NewReader(stderr); ; {
			line, err := lines.ReadString('\n')
			d.log.WriteString(line)
			var said map[string]any
			if json.Unmarshal([]byte(line), &said) == nil && !told {
				if msg, _ := said["msg"].(string); strings.HasSuffix(msg, " up") {
					told = true
					up <- said
				}
			}
			if err != nil {
				return
			}
		}
	})
	said, ok := <-up
	if !ok {
		_ = d.cmd.Wait()
		return nil, nil, fmt.Errorf("op25b %s ended: %s", strings.Join(args, " "), d.log.String())
	}
	return d, said, nil
}

// login SERVER ADDRESS WANT reports a POP3 login from an address, as Dovecot does, and expects the controller's message to contain WANT.
func login(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: login SERVER ADDRESS WANT")
	}
	body := fmt.Sprintf(`{"login":"alice","pwhash":"0ab0","remote":%q,"protocol":"pop3","success":true,"policy_reject":false,"tls":true}`, args[1])
	resp, err := http.Post("http://"+args[0]+mailserver.DovecotPath+"?command=report", "application/json", strings.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), args[2]) {
		ts.Fatalf("%d %s; want %s", resp.StatusCode, answer, args[2])
	}
}

func lookPath(path, name string) (string, bool) {
	for dir := range strings.SplitSeq(path, string(os.PathListSeparator)) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file, true
		}
	}
	return "", false
}

// finish NAME ends a daemon with SIGTERM, and the daemon must exit with status 0. crash NAME kills the daemon.
func finish(ts *testscript.TestScript, neg bool, args []string) { stop(ts, neg, args, syscall.SIGTERM) }

func crash(ts *testscript.TestScript, neg bool, args []string) { stop(ts, neg, args, syscall.SIGKILL) }

// freeze NAME suspends a daemon; thaw NAME resumes it.
func freeze(ts *testscript.TestScript, neg bool, args []string) { send(ts, neg, args, syscall.SIGSTOP) }

func thaw(ts *testscript.TestScript, neg bool, args []string) { send(ts, neg, args, syscall.SIGCONT) }

func send(ts *testscript.TestScript, neg bool, args []string, sig syscall.Signal) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeze NAME, thaw NAME")
	}
	d, is := running.Load(daemonKey{ts, args[0]})
	if !is {
		ts.Fatalf("%s does not run", args[0])
	}
	ts.Check(d.(*daemon).cmd.Process.Signal(sig))
}

func stop(ts *testscript.TestScript, neg bool, args []string, by syscall.Signal) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: finish NAME, crash NAME")
	}
	d, is := running.LoadAndDelete(daemonKey{ts, args[0]})
	if !is {
		ts.Fatalf("%s does not run", args[0])
	}
	ts.Check(d.(*daemon).end(by))
}

// end sends a signal to the daemon and waits for its end. Unless the signal is SIGKILL, the daemon must exit with status 0.
func (d *daemon) end(by syscall.Signal) error {
	_ = d.cmd.Process.Signal(by)
	_ = d.cmd.Process.Signal(syscall.SIGCONT) // the daemon may be frozen
	d.said.Wait()
	err := d.cmd.Wait()
	if over := d.memory.Err(); over != nil {
		return over
	}
	if err != nil && by != syscall.SIGKILL {
		return fmt.Errorf("%s ended with %w: %s", strings.Join(d.cmd.Args, " "), err, d.log.String())
	}
	return nil
}

// meddle ADDR changes a switch as another client could, because P4Runtime accepts any write that has the primary's election id.
// meddle adds a bridge entry that is not in the intent.
func meddle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: meddle ADDR")
	}
	ts.Check(writeByHand(args[0], 1, p4v1.Update_INSERT, &pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{{2, 9, 9, 9, 9, 9}: {Port: 7}}}))
}

// lose deletes the entry of a prefix of servers from a switch: its arguments are the address of P4Runtime, the device id and the prefix.
func lose(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: lose ADDR DEVICE PREFIX")
	}
	device, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	prefix, err := netip.ParsePrefix(args[2])
	if err != nil {
		return err
	}
	return writeByHand(args[0], device, p4v1.Update_DELETE, &pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{prefix: 1}})
}

// writeByHand inserts or deletes the entries of a state in a switch, under the election id of its controller.
func writeByHand(addr string, device uint64, kind p4v1.Update_Type, state *pipeline.State) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := p4v1.NewP4RuntimeClient(conn)
	stream, err := client.StreamChannel(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{
		Arbitration: &p4v1.MasterArbitrationUpdate{DeviceId: device, ElectionId: &p4v1.Uint128{Low: 1}},
	}}); err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	entries, err := state.Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDefault() {
			continue
		}
		if _, err := client.Write(ctx, &p4v1.WriteRequest{
			DeviceId: device, ElectionId: answer.GetArbitration().GetElectionId(), Updates: []*p4v1.Update{{Type: kind, Entity: p4rt.Entity(e)}},
		}); err != nil {
			return err
		}
	}
	return nil
}

// free VAR... sets each variable to an address with a free port.
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: free VAR...")
	}
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		ts.Setenv(name, l.Addr().String())
	}
}

// later sets an environment variable to the time after a duration: later NAME DURATION.
func later(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: later NAME DURATION")
	}
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	ts.Setenv(args[0], time.Now().Add(d).Format(time.RFC3339))
}

// replace FILE OLD NEW [OLD NEW]... replaces texts in a file. In NEW, \n is a newline and $NAME is the value of an environment
// variable.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: replace FILE OLD NEW [OLD NEW]...")
	}
	text := ts.ReadFile(args[0])
	for i := 1; i < len(args); i += 2 {
		if !strings.Contains(text, args[i]) {
			ts.Fatalf("%s does not have %q", args[0], args[i])
		}
		text = strings.ReplaceAll(text, args[i], strings.ReplaceAll(args[i+1], `\n`, "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// status N COMMAND... runs a command that must exit with status N.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.String()[len("exit status "):]
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("%s exited with %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
