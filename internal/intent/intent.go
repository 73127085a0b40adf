// Package intent is what the operators have decided: the documents of policy and inventory, the numbers that their names have in the
// switches, and the phases that were activated by hand. All three change together, in one revision of the store, and go back together.
//
// It validates what is to be stored and writes the record of it. It does not compile for switches by itself, nor does it know any: fleet
// does.
package intent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
)

var (
	// ErrNone is returned while nobody has decided anything yet.
	ErrNone = errors.New("there is no intent yet: apply a policy and an inventory first")
	// ErrNoPhase is returned for a switch on which no phase has begun.
	ErrNoPhase = errors.New("no phase is in force")
	// ErrBroken is returned where documents are to be compiled that are not valid, or cannot even be read.
	ErrBroken = errors.New("the documents cannot be used")
	// ErrActivation is a change of the documents that takes away what an activation in force names.
	ErrActivation = errors.New("an activation in force names what the documents no longer have")
)

// Where the parts of a revision are in the store. What the operators wrote is under files/.
const (
	filesFolder     = "files/"
	numbersPath     = "numbers.json"
	activationsPath = "activations.json"
)

// An Intent is one revision. It is never changed; what it points to must not be either.
type Intent struct {
	store.Revision
	Files       []policy.File // as they were written, in the order of their names
	Bundle      *policy.Bundle
	Numbers     *compile.Numbers
	Activations []policy.Activation // in the order in which they were made

	compiler *compile.Compiler // nil if broken
	encoded  []byte            // Numbers, as they are stored; nil before that
	broken   *broken           // nil if the documents are good
}

// read makes an Intent of what the store has. It shares what was made of the documents with one of like that has the same.
func (b *Book) read(ctx context.Context, s store.Snapshot, like []*Intent) (*Intent, error) {
	in := &Intent{Revision: s.Revision, Files: filesOf(s), Numbers: &compile.Numbers{}, encoded: s.Documents[numbersPath]}
	if err := in.decode(s, activationsPath, &in.Activations); err != nil {
		return nil, err
	}
	numbered(in.Activations)
	for _, l := range like {
		if l.encoded != nil && bytes.Equal(in.encoded, l.encoded) && sameFiles(in.Files, l.Files) {
			in.Files, in.Bundle, in.Numbers, in.compiler, in.encoded, in.broken = l.Files, l.Bundle, l.Numbers, l.compiler, l.encoded, l.broken
			return in, in.Broken()
		}
	}
	if err := in.decode(s, numbersPath, in.Numbers); err != nil {
		return nil, err
	}
	if err := in.load(ctx, b); err != nil {
		return nil, fmt.Errorf("revision %d: %w", s.Number, err)
	}
	return in, nil
}

// filesOf are what the operators wrote, in the order of the names.
func filesOf(s store.Snapshot) (files []policy.File) {
	for _, path := range slices.Sorted(maps.Keys(s.Documents)) {
		if name, isFile := strings.CutPrefix(path, filesFolder); isFile {
			files = append(files, policy.File{Name: name, Data: s.Documents[path]})
		}
	}
	return files
}

// decode reads a document that is JSON, if it is there.
func (in *Intent) decode(s store.Snapshot, path string, to any) error {
	text, there := s.Documents[path]
	if !there {
		return nil
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("revision %d: %s: %w", s.Number, path, err)
	}
	return nil
}

// numbered gives activations that were stored without an ID one, below all that have one: a rollback names what it undoes by its ID.
func numbered(acts []policy.Activation) {
	for i := range acts {
		if acts[i].ID == 0 {
			acts[i].ID = uint64(i + 1) // below that of the revision it was stored under
		}
	}
}

func sameFiles(a, b []policy.File) bool {
	return slices.EqualFunc(a, b, func(x, y policy.File) bool { return x.Name == y.Name && bytes.Equal(x.Data, y.Data) })
}

// SameDocuments reports whether two intents were found to have the same documents and numbers, so that they differ in activations alone.
// It may report false of some that have.
func (in *Intent) SameDocuments(other *Intent) bool {
	return in.compiler == other.compiler && in.broken == other.broken
}

// SameAs reports whether two intents have the same files and activations.
func (in *Intent) SameAs(other *Intent) bool {
	return sameFiles(in.Files, other.Files) && slices.EqualFunc(in.Activations, other.Activations, func(a, b policy.Activation) bool {
		return a.ID == b.ID && a.At.Equal(b.At)
	})
}

// load reads the files and makes ready to compile.
func (in *Intent) load(ctx context.Context, b *Book) (err error) {
	if in.Bundle, err = b.load(ctx, in.Files); err != nil {
		return err
	}
	in.compiler, err = compile.NewCompiler(in.Bundle, in.Numbers)
	return err
}

// documents are the intent as it is stored.
func (in *Intent) documents() (map[string][]byte, error) {
	docs := make(map[string][]byte, len(in.Files)+2)
	for _, f := range in.Files {
		docs[filesFolder+f.Name] = f.Data
	}
	var err error
	if docs[numbersPath], err = json.Marshal(in.Numbers); err != nil {
		return nil, err
	}
	if docs[activationsPath], err = json.Marshal(in.Activations); err != nil {
		return nil, err
	}
	return docs, nil
}

// InForce returns which phases are in force on a switch at a moment, or ErrNoPhase with the moment at which the first begins.
func (in *Intent) InForce(switchName string, now time.Time) (policy.InForce, error) {
	phases, ok := in.Bundle.Policy.InForceAt(in.Activations, switchName, now)
	if !ok {
		first := "policy " + in.Bundle.Policy.Name + " has no phase with a date to come"
		if next, ok := in.Bundle.Policy.NextEvent(now); ok {
			first = "the first begins at " + next.Format(time.RFC3339)
		}
		return policy.InForce{}, fmt.Errorf("switch %q at %s: %w: %s", switchName, now.Format(time.RFC3339), ErrNoPhase, first)
	}
	return phases, nil
}

// Compile returns what a switch should hold at a moment, or ErrNoPhase, or what compile.Compiler.Compile returns.
func (in *Intent) Compile(switchName string, now time.Time) (*compile.Compiled, error) {
	if err := in.Broken(); err != nil {
		return nil, err
	}
	if _, ok := in.Bundle.Inventory.Switch(switchName); !ok {
		return in.compiler.Compile(switchName, policy.InForce{}, now) // for its error, which says what there is
	}
	phases, err := in.InForce(switchName, now)
	if err != nil {
		return nil, err
	}
	return in.compiler.Compile(switchName, phases, now)
}

// CompileAs is Compile with the phases given.
func (in *Intent) CompileAs(switchName string, phases policy.InForce, now time.Time) (*compile.Compiled, error) {
	if err := in.Broken(); err != nil {
		return nil, err
	}
	return in.compiler.Compile(switchName, phases, now)
}

// Rules returns the rules that Compile would have at the phases given, without the rest of the switch.
//
// Of broken documents they are there to be found in a switch that has them already, and must not be written to one.
func (in *Intent) Rules(switchName string, phases policy.InForce) (compile.Rules, error) {
	if in.broken != nil {
		return in.broken.rules(switchName, phases)
	}
	return in.compiler.Rules(switchName, phases)
}

// SameExemptions reports whether the same exemptions hold at two moments.
func (in *Intent) SameExemptions(a, b time.Time) bool {
	return in.broken != nil || in.compiler.SameExemptions(a, b)
}

// NextEvent returns the first moment after now at which what a switch should hold may change by itself; ok is false if there is none.
func (in *Intent) NextEvent(now time.Time) (time.Time, bool) {
	return in.Bundle.Policy.NextEvent(now)
}
