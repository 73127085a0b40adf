package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/softswitch"
	"op25b/internal/store/storetest"
)

// TestI11ReplacedStoreForCommands replaces the contents of etcd while a controller runs, either by nothing or by an older backup. The
// next change must be reported as converged only after the controller has read the switch in that state, and status, drift and
// /readyz must report the replacement.
func TestI11ReplacedStoreForCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts controllers")
	}
	exe, err := exec.LookPath("op25b")
	if err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string]func(e *storetest.Etcd, saved string){
		"empty": func(e *storetest.Etcd, _ string) { e.Empty(false) },
		"older": func(e *storetest.Etcd, saved string) { e.Restore(saved) },
	} {
		t.Run(name, func(t *testing.T) {
			sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer sw.Close()
			services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			defer services.Close()
			e := storetest.Start(t)
			s := &served{exe: exe, dir: t.TempDir(), addr: "127.0.0.1:0", store: []string{"--etcd", e.Endpoint()}}
			s.start(t)
			run := func(fails bool, args ...string) string {
				t.Helper()
				said, err := exec.Command(exe, append(args, "--server", s.addr)...).CombinedOutput()
				if (err != nil) != fails {
					t.Fatalf("%s: %v\n%s", args, err, said)
				}
				return string(said)
			}
			docs := func(prefix string) string {
				dir := t.TempDir()
				for _, f := range examples.SpinNet2006() {
					text := bytes.ReplaceAll(f.Data, []byte("127.0.0.1:9559"), []byte(services.Addrs.P4Runtime))
					text = bytes.ReplaceAll(text, []byte("203.0.113.0/26"), []byte(prefix))
					if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				return dir
			}
			apply := func(prefix string) string {
				t.Helper()
				return run(false, "apply", "-f", docs(prefix), "--reason", prefix, "--mass-change", "--yes")
			}
			apply("203.0.113.0/26")
			saved := e.Save()
			apply("203.0.113.0/27")
			replace(e, saved)

			// apply waits for the store. The switch is brought to the applied documents, whatever its previous revision was.
			if said := apply("203.0.113.0/28"); !strings.Contains(said, "1 switch converged after") {
				t.Errorf("apply said\n%s", said)
			}
			var status struct {
				Revision string `json:"revision"`
				Notices  []string
				Switches []struct{ State, Revision, RevisionID string }
			}
			if err := json.Unmarshal([]byte(run(false, "status", "-o", "json")), &status); err != nil {
				t.Fatal(err)
			}
			if len(status.Switches) != 1 || status.Switches[0].Revision != status.Revision || len(status.Notices) == 0 ||
				!strings.HasPrefix(status.Notices[0], "the store was replaced, as noticed at ") {
				t.Errorf("status %+v", status)
			}
			if said := run(false, "drift"); !strings.Contains(said, "No drift on 1 switch.") || !strings.Contains(said, "Note: the store was replaced") {
				t.Errorf("drift said\n%s", said)
			}
			if said := run(false, "plan", "-f", docs("203.0.113.0/28")); !strings.Contains(said, "nothing to change") {
				t.Errorf("plan said\n%s", said)
			}
			resp, err := http.Get("http://" + s.addr + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || !strings.Contains(string(body), "ready\nwarning: the store was replaced, as noticed at ") {
				t.Errorf("readyz: %s, %v", body, err)
			}
		})
	}
}
