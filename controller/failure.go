package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"op25b/internal/client"
)

// exit ends a command with a status, when its output says all there is to say.
type exit int

// Error is for nobody: see fail.
func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

const (
	errAlreadyTold exit = 1
	errChanges     exit = 2 // of plan and drift: there is something to do
)

// fail tells an error in the format that the arguments ask for, and returns the status to exit with.
func fail(ctx context.Context, w io.Writer, args []string, err error) int {
	var status exit
	if errors.As(err, &status) && ctx.Err() == nil {
		return int(status)
	}
	f := explain(err)
	if ctx.Err() != nil { // what broke because of it is of no interest
		f = client.Failure{Message: "interrupted"}
	}
	if asksJSON(args) {
		_ = json.NewEncoder(w).Encode(map[string]client.Failure{"error": f})
		return 1
	}
	tell(w, f)
	return 1
}

// tell says an error to people. Faults in files stand as editors follow them, one a line.
func tell(w io.Writer, f client.Failure) {
	if len(f.Faults) == 0 {
		fmt.Fprintln(w, "op25b:", f.Message)
		return
	}
	inFiles := false
	for _, fault := range f.Faults {
		before := "op25b: "
		if fault.File != "" {
			before, inFiles = "", true
		}
		fmt.Fprintf(w, "%s%s\n", before, fault)
	}
	if left := strings.Count(f.Message, "\n") + 1 - len(f.Faults); left > 0 {
		fmt.Fprintf(w, "... %d more\n", left)
	}
	if inFiles {
		fmt.Fprintln(w, "op25b: the documents cannot be used as they are")
	}
}

// asksJSON tells whether -o json is among arguments, which may be too wrong to be parsed.
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
