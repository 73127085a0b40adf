// Command compile makes p4src/build of the P4 sources with p4c-bm2-ss, which must be on PATH or named by P4C, and records the digest
// of the sources, so that a test finds a build that is older than them.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"

	"op25b/p4src"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

func run() error {
	p4c := os.Getenv("P4C")
	if p4c == "" {
		p4c = "p4c-bm2-ss"
	}
	cmd := exec.Command(p4c, "--std", "p4-16", "-o", "build/op25b.json", "--p4runtime-files", "build/op25b.p4info.txtpb", "op25b.p4")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = os.Stdout, &said
	err := cmd.Run()
	os.Stderr.Write(said.Bytes())
	if err != nil {
		return fmt.Errorf("%s (the P4 compiler for bmv2, set P4C to its path): %w", p4c, err)
	}
	if bytes.Contains(said.Bytes(), []byte("warning:")) {
		return fmt.Errorf("op25b.p4 does not compile without a warning")
	}
	return os.WriteFile("build/sources.sha256", []byte(p4src.SourceDigest()+"\n"), 0o644)
}
