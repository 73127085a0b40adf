// Package clientfiletest has what the tests of programs that may report share: their files, and the number of their requests by result.
package clientfiletest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Write writes a document of a kind with a list of clients, and beside it the files secret, which has a secret, and short, which is too short. It
// returns the path of the document.
func Write(t testing.TB, kind, list, secret string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"clients.yaml": "apiVersion: op25b/v1\nkind: " + kind + "\nclients:\n" + list, "secret": secret + "\n", "short": "short",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "clients.yaml")
}

// Hash returns the hash of a token as a document has it.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Requests returns the number of requests with a result in the first metric of a registry.
func Requests(t testing.TB, registry *prometheus.Registry, result string) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].Metric {
		if m.Label[0].GetValue() == result {
			return int(m.Counter.GetValue())
		}
	}
	t.Fatalf("no requests are counted as %s", result)
	return 0
}
