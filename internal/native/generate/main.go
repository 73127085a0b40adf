// Command generate writes the code of a program as Go, from the JSON that p4c has made of the program.
//
//	go run ./generate PROGRAM.json OUT.go
package main

import (
	"fmt"
	"os"
	"path"

	"op25b/internal/softswitch/engine"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("arguments %q: want PROGRAM.json OUT.go", args)
	}
	text, err := source(args[0])
	if err != nil {
		return err
	}
	return os.WriteFile(args[1], text, 0o644)
}

// source returns the Go source of the program in a file.
func source(file string) ([]byte, error) {
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	e, err := engine.Load(program, engine.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return e.Source(program, "native", "internal/native/generate from "+path.Base(file))
}
