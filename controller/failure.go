package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"op25b/internal/client"
	"op25b/internal/view/prose"
)

// An exit is the exit status of a command that has already printed its result.
type exit int

// Error implements error. The text is never printed.
func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

const (
	errReported exit = 1
	errChanges  exit = 2 // plan or drift found a difference
)

// fail prints an error in the format that the arguments select, and returns the exit status.
func fail(ctx context.Context, w io.Writer, args []string, err error) int {
	var status exit
	if errors.As(err, &status) && ctx.Err() == nil {
		return int(status)
	}
	f := explain(err)
	if ctx.Err() != nil { // the interrupt caused the error
		f = client.Failure{Message: "interrupted"}
	}
	if asksJSON(args) {
		_ = json.NewEncoder(w).Encode(map[string]client.Failure{"error": f})
		return 1
	}
	printFailure(w, f)
	return 1
}

// A flagged is an error with the flags of the command that failed.
type flagged struct {
	error
	flags *pflag.FlagSet
}

func (f flagged) Unwrap() error { return f.error }

// fieldOfFlag is the annotation of a flag that has another name than the request field that it sets. Its value is the name of the field.
const fieldOfFlag = "op25b_field"

// place returns the flag that sets the request field at path. If there is no such flag, place returns an empty string for an
// element of a list, because the fault's message already quotes the element. It returns any other path unchanged.
func (f flagged) place(path string) string {
	name, _, element := strings.Cut(path, "[")
	f.flags.VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(flag.Annotations[fieldOfFlag], path) {
			name = flag.Name
		}
	})
	switch {
	case f.flags.Lookup(name) != nil:
		return "--" + name
	case element:
		return ""
	}
	return path
}

// printFailure prints an error as text. It prints each fault in a file on its own line as FILE:LINE:COLUMN, a form that editors
// recognise.
func printFailure(w io.Writer, f client.Failure) {
	if len(f.Faults) == 0 {
		fmt.Fprintln(w, "op25b:", prose.EscapeLines(f.Message))
		return
	}
	inFiles := false
	for _, fault := range f.Faults {
		before := "op25b: "
		if fault.File != "" {
			before, inFiles = "", true
		}
		fmt.Fprintf(w, "%s%s\n", before, prose.Escape(fmt.Sprint(fault)))
	}
	if left := strings.Count(f.Message, "\n") + 1 - len(f.Faults); left > 0 {
		fmt.Fprintf(w, "... %d more\n", left)
	}
	if inFiles {
		fmt.Fprintln(w, "op25b: the documents are not valid")
	}
}

// asksJSON reports whether -o json is among the arguments. asksJSON does not use pflag, because the arguments may be invalid.
func asksJSON(args []string) bool {
	for i, arg := range args {
		switch {
		case slices.Contains([]string{"-ojson", "-o=json", "--output=json"}, arg):
			return true
		case arg == "json" && i > 0 && (args[i-1] == "-o" || args[i-1] == "--output"):
			return true
		}
	}
	return false
}
