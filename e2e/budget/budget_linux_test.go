package budget

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// hogVariable is the environment variable that makes this test binary allocate memory and then
// wait.
const hogVariable = "OP25B_BUDGET_HOG"

func TestMain(m *testing.M) {
	if os.Getenv(hogVariable) == "" {
		os.Exit(m.Run())
	}
	all := make([]byte, 64<<20)
	for i := 0; i < len(all); i += 4096 {
		all[i] = 1
	}
	fmt.Println("taken")
	time.Sleep(time.Minute) // the parent kills this process much earlier
	fmt.Println(all[0])
}

// hog starts a process that allocates 64 MiB, with the given budget in MiB.
func hog(t *testing.T, limit int) (b *Budget, p *os.Process, ended chan struct{}) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hogVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	b = Start("hog", cmd.Process, limit, ended)
	_, _ = out.Read(make([]byte, 16)) // wait until the process has allocated the memory or has ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return b, cmd.Process, ended
}

func TestBudgetKills(t *testing.T) {
	b, _, ended := hog(t, 32)
	<-ended
	err := b.Err()
	if !errors.Is(err, ErrExceeded) || !strings.HasPrefix(err.Error(), "memory budget exceeded: hog took ") || !strings.HasSuffix(err.Error(), " MiB of 32 and was killed") {
		t.Errorf("error is %v", err)
	}
}

func TestBudgetLets(t *testing.T) {
	b, p, ended := hog(t, 1024)
	mib, err := Resident(p.Pid)
	if err != nil || mib < 64 || mib > 1024 {
		t.Errorf("%d MiB, %v; it has taken 64", mib, err)
	}
	for b.Peak() < 64 {
		time.Sleep(time.Millisecond)
	}
	_ = p.Kill()
	<-ended
	if err := b.Err(); err != nil {
		t.Error(err)
	}
	if _, err := Resident(p.Pid); err == nil {
		t.Error("a process that has ended has memory")
	}
}
