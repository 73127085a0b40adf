package main

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"op25b/internal/tlsfiles/tlstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"op25b": func() { run(hurried()) }})
}

// TestScript runs the scripts in testdata/script, which use the commands as an operator would.
func TestScript(t *testing.T) { scripts(t, "testdata/script") }

// TestI11Truthful runs the command against a controller and a switch that hang or are killed.
func TestI11Truthful(t *testing.T) { scripts(t, "testdata/truthful") }

func scripts(t *testing.T, dir string) {
	certificates := tlstest.New(t).Dir(t, "127.0.0.1")
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"embedded": embedded, "record": record, "start": start, "finish": finish, "crash": crash, "meddle": meddle, "replace": replace, "later": later, "status": status, "free": free, "fill": fill, "drain": drain, "get": get, "mail": mail, "watch": watch,
			"freeze": freeze, "thaw": thaw, "login": login,
		},
		Setup: func(env *testscript.Env) error {
			// The script needs an address that is in use while it runs.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = l.Close() })
			env.Setenv("TAKEN", l.Addr().String())
			wd, err := os.Getwd()
			if err != nil {
				return err
			}
			env.Setenv("CA", certificates.CA)
			env.Setenv("CERT", certificates.Cert)
			env.Setenv("KEY", certificates.Key)
			env.Setenv("EXAMPLE", wd+"/../examples/spinnet-2006")
			env.Setenv("TZ", "UTC")
			env.Setenv("NO_COLOR", "")
			return nil
		},
	})
}

// An interrupted daemon exits with status 0.
func TestInterruptEndsTheSwitch(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// testscript.Main runs op25b if this binary is started under that name.
	link := t.TempDir() + "/op25b"
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), link, "switch", "--p4runtime", "127.0.0.1:0", "--gnmi", "", "--log-format", "json")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 1)); err != nil { // the daemon prints its first message when it is up
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("switch ended with %v, want status 0", err)
	}
}
