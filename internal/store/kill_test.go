package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
)

// killedEnv is the environment variable with the data directory to which a separate process writes until it is killed.
const killedEnv = "OP25B_TEST_KILLED"

func killedProcess(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	s, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		fmt.Println("RESULT", err)
		return
	}
	fmt.Println("RESULT open")
	head, err := s.Revisions().Head(ctx)
	for n := head.Number; err == nil; n++ {
		documents := map[string][]byte{"a": []byte(strings.Repeat(fmt.Sprint(n, " "), 20000))}
		_, err = s.Revisions().Put(ctx, Change{Base: n, Author: "a", Reason: "r", Documents: documents}, AuditRecord{Who: "a", Verb: "apply"})
	}
	fmt.Println("RESULT", err)
}

// If the process is killed at any moment, even during its first start, the store is not damaged.
func TestKilledIsNotDamaged(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each round")
	}
	rounds := 10
	if longform.On() {
		rounds = 100
	}
	random := rand.New(rand.NewPCG(3, 3))
	dir := t.TempDir()
	for round := range rounds {
		if round%5 == 0 {
			dir = t.TempDir()
		}
		cmd := exec.CommandContext(within(t), os.Args[0])
		cmd.Env = append(os.Environ(), killedEnv+"="+dir)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The time of the kill is the random input of this test. The start takes about 200 ms, and changes follow. The test must pass wherever
		// the kill occurs.
		time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text := strings.TrimSpace(out.String()); text != "" && text != "RESULT open" {
			t.Errorf("round %d: %s", round, text)
		}
		if _, err := inspect(within(t), dir, dir+"/etcd"); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	s := open(t, Config{Dir: dir})
	must(s.Revisions().Head(within(t)))(t)
	must(s.Audit().Verify(within(t)))(t)
}
