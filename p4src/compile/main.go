// Command compile compiles a P4 program to JSON and P4Info with p4c-bm2-ss, which must be on PATH or named by the environment variable P4C.
// It records the digest of the sources, so that a test detects a build that is older than the sources.
//
//	go run op25b/p4src/compile PROGRAM.p4 OUTDIR
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"op25b/p4src"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || filepath.Ext(args[0]) != ".p4" {
		return fmt.Errorf("arguments %q: want PROGRAM.p4 OUTDIR", args)
	}
	out, err := filepath.Abs(args[1])
	if err != nil {
		return err
	}
	folder, program := filepath.Split(args[0])
	if folder == "" {
		folder = "."
	}
	p4c := os.Getenv("P4C")
	if p4c == "" {
		p4c = "p4c-bm2-ss"
	}
	name := filepath.Join(out, strings.TrimSuffix(program, ".p4"))
	cmd := exec.Command(p4c, "--std", "p4-16", "-o", name+".json", "--p4runtime-files", name+".p4info.txtpb", program)
	cmd.Dir = folder // the JSON contains the source names as given on the command line
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = os.Stdout, &said
	err = cmd.Run()
	_, _ = os.Stderr.Write(said.Bytes())
	if err != nil {
		return fmt.Errorf("%s (the P4 compiler for bmv2, set P4C to its path): %w", p4c, err)
	}
	for line := range strings.Lines(said.String()) {
		// p4c prints this warning for every table with an action profile, because bmv2 supports no default action there. The warning cannot
		// be avoided.
		if strings.Contains(line, "warning:") && !strings.Contains(line, "due to action profiles") {
			return fmt.Errorf("%s does not compile without a warning", args[0])
		}
	}
	root, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	within, err := filepath.Rel("/", root) // the root is "/", because an include may refer to a file outside the folder
	if err != nil {
		return err
	}
	digest, err := p4src.Digest(os.DirFS("/"), filepath.ToSlash(within))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "sources.sha256"), []byte(digest+"\n"), 0o644)
}
