package register

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/subscriber/accounting"
)

// killedEnv is the environment variable with the directory of a process that receives accounting until it is killed.
const killedEnv = "OP25B_TEST_KILLED_REGISTER"

const secret = "a shared secret of bng-1"

// killedProcess receives accounting requests for the store in dir/store, from the clients in dir/clients.yaml. It prints its address.
func killedProcess(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("RESULT", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Dir: filepath.Join(dir, "store")})
	fail(err)
	r, err := New(Config{Store: s, Book: intent.NewBook(s, time.Now), Key: testKey()})
	fail(err)
	go r.Run(ctx)
	clients, _, err := accounting.OpenClients(filepath.Join(dir, "clients.yaml"))
	fail(err)
	server, err := accounting.Listen("127.0.0.1:0", accounting.Config{Clients: clients, Report: r.Report})
	fail(err)
	<-r.Ready()
	fmt.Println("RESULT", server.Addr())
	fail(server.Serve(ctx))
}

// TestAnsweredSurvivesKill sends starts of sessions to a process, which is killed at any moment. After that, every session whose request was
// answered is in the store. A request that was not answered is repeated, as an access server does, and the session is then there too.
func TestAnsweredSurvivesKill(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each round")
	}
	dir := t.TempDir()
	const lines, rounds = 4000, 3
	if err := open(t, filepath.Join(dir, "store"), lines).Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"secret":       secret,
		"clients.yaml": "apiVersion: op25b/v1\nkind: RadiusClients\nclients: [{name: bng-1, address: 127.0.0.1, secretFile: secret}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(3, 3))
	var answered, unanswered []int
	next := 0
	for range rounds {
		ctx := within(t)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), killedEnv+"="+dir)
		out := must(cmd.StdoutPipe())(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		addr, ok := strings.CutPrefix(strings.TrimSpace(line), "RESULT ")
		if err != nil || !ok {
			t.Fatalf("%q, %v", line, err)
		}
		conn := must(net.Dial("udp", addr))(t)
		timer := time.AfterFunc(time.Duration(50+random.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() }) // the random input of this test
		for _, i := range unanswered {                                                                                  // the repetitions after the restart
			if exchange(t, conn, i) {
				answered = append(answered, i)
				unanswered = nil
			}
		}
		for ; next < lines; next++ {
			if !exchange(t, conn, next) {
				unanswered = append(unanswered, next)
				next++
				break
			}
			answered = append(answered, next)
		}
		timer.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = conn.Close()
	}
	r := start(t, Config{Store: open(t, filepath.Join(dir, "store"), lines), Key: testKey()})
	for _, i := range answered {
		if f, ok := r.Holder(address(addressOf(i))); !ok || f.Name != fmt.Sprint("line-", i) {
			t.Errorf("the session of line-%d was answered and is lost: %v", i, f)
		}
	}
	if len(answered) == 0 {
		t.Error("no request was answered")
	}
	t.Logf("%d sessions were answered in %d processes that were killed", len(answered), rounds)
}

func addressOf(i int) string { return fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250) }

// exchange sends the start of a session of line i, and reports whether it was answered.
func exchange(t testing.TB, conn net.Conn, i int) bool {
	t.Helper()
	p := radius.New(radius.CodeAccountingRequest, []byte(secret))
	for _, err := range []error{
		rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Start), rfc2866.AcctSessionID_SetString(p, fmt.Sprint("s", i)),
		rfc2865.UserName_SetString(p, fmt.Sprint("line-", i)), rfc2865.FramedIPAddress_Set(p, net.ParseIP(addressOf(i))), rfc2869.EventTimestamp_Set(p, time.Now()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b := must(p.Encode())(t)
	if _, err := conn.Write(b); err != nil {
		return false // the kernel reports that nobody listens any more
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	return err == nil && radius.IsAuthenticResponse(answer[:n], b, []byte(secret))
}
