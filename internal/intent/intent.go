// Package intent manages the operators' decisions: the documents (policy, inventory and exemptions), the numeric ids of the names in them, and the
// phases that operators have activated. All three are stored together in one revision and are restored together.
//
// The package validates changes and stores them with their audit records. It does not connect to switches; package fleet does.
package intent

import (
	"bytes"
	"cmp"
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
	"op25b/internal/strict"
)

var (
	// ErrNone means that no documents have been stored yet.
	ErrNone = errors.New("there is no intent yet: apply a policy and an inventory first")
	// ErrNoPhase means that no phase is in force on a switch, because none has begun.
	ErrNoPhase = errors.New("no phase is in force")
	// ErrBroken means that the documents of a revision are invalid or cannot be read.
	ErrBroken = errors.New("the documents cannot be used")
	// ErrActivation means that proposed documents do not define a phase, line group or switch that an activation in force names.
	ErrActivation = errors.New("an activation in force names something that the documents no longer have")
)

// The paths of a revision's documents in the store. The operators' files are in the folder files/.
const (
	filesFolder     = "files/"
	numbersPath     = "numbers.json"
	activationsPath = "activations.json"
)

// An Intent is one revision of the operators' decisions. An Intent and all values to which it points are immutable.
type Intent struct {
	store.Revision
	Files       []strict.File // the operators' files as written, ordered by name, without the exemptions
	Bundle      *policy.Bundle
	Numbers     *compile.Numbers
	Activations []policy.Activation // in the order in which the store accepted them

	compiler *compile.Compiler // nil if the documents are broken
	encoded  []byte            // Numbers in stored form; nil if they are not stored yet
	exempt   map[string][]byte // the stored parts of the exemptions; nil if they are not stored yet
	broken   *broken           // nil if the documents can be used
	next     *next             // nil unless a rollout brings next documents to the switches
}

// read returns the Intent of a snapshot. If an Intent in like has the same documents, read shares its parsed documents.
func (b *Book) read(ctx context.Context, s store.Snapshot, like []*Intent) (*Intent, error) {
	in := &Intent{Revision: s.Revision, Files: filesOf(s), Numbers: &compile.Numbers{}, encoded: s.Documents[numbersPath], exempt: exemptionsIn(s.Documents, "")}
	if err := in.decode(s, activationsPath, &in.Activations); err != nil {
		return nil, err
	}
	numbered(in.Activations)
	if !in.share(like) && !in.shareBut(like, b.dates()) {
		if err := in.decode(s, numbersPath, in.Numbers); err != nil {
			return nil, err
		}
		if err := in.load(ctx, b); err != nil {
			return nil, fmt.Errorf("revision %d: %w", s.Number, err)
		}
	}
	if err := in.Broken(); err != nil {
		return in, err
	}
	if err := b.split(ctx, in, s, like); err != nil {
		return nil, err
	}
	return in, nil
}

// share makes in use the parsed documents of an intent in like, or of its next documents, if they are the same. It reports whether there is one.
func (in *Intent) share(like []*Intent) bool {
	for _, l := range like {
		for _, l := range l.Contents() {
			if l.encoded != nil && bytes.Equal(in.encoded, l.encoded) && sameFiles(in.Files, l.Files) && sameExemptions(in.exempt, l.exempt) {
				in.Files, in.Bundle, in.Numbers, in.compiler, in.encoded, in.exempt, in.broken = l.Files, l.Bundle, l.Numbers, l.compiler, l.encoded, l.exempt, l.broken
				return true
			}
		}
	}
	return false
}

// filesOf returns the operators' files, ordered by name.
func filesOf(s store.Snapshot) []strict.File { return filesIn(s, filesFolder) }

// filesIn returns the files in a folder of the store, ordered by name.
func filesIn(s store.Snapshot, folder string) (files []strict.File) {
	for _, path := range slices.Sorted(maps.Keys(s.Documents)) {
		if name, isFile := strings.CutPrefix(path, folder); isFile {
			files = append(files, strict.File{Name: name, Data: s.Documents[path]})
		}
	}
	return files
}

// decode decodes the JSON document at path, if the snapshot has it, and stores the result in the variable to which to points.
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

// numbered assigns IDs to activations that were stored without one. The IDs are lower than all others. A rollback needs them, because it
// refers to the activation that it undoes by ID.
func numbered(acts []policy.Activation) {
	for i := range acts {
		if acts[i].ID == 0 {
			acts[i].ID = uint64(i + 1) // lower than the number of the revision that stores the activations
		}
	}
}

func sameFiles(a, b []strict.File) bool {
	return slices.EqualFunc(a, b, func(x, y strict.File) bool { return x.Name == y.Name && bytes.Equal(x.Data, y.Data) })
}

// SameDocuments reports whether two intents share their parsed documents and numbers, so that they differ at most in activations. The
// result may be false for equal documents that were parsed separately. If an intent has next documents, these and the switches that have them are
// compared too.
func (in *Intent) SameDocuments(other *Intent) bool {
	return in.sameContents(other) && (in.next == nil || slices.Equal(in.next.Switches, other.next.Switches))
}

// sameContents is like SameDocuments, and ignores which switches have the next documents.
func (in *Intent) sameContents(other *Intent) bool {
	if in.compiler != other.compiler || in.broken != other.broken || (in.next == nil) != (other.next == nil) {
		return false
	}
	return in.next == nil || in.next.with.compiler == other.next.with.compiler
}

// SameAs reports whether two intents have the same documents and activations.
func (in *Intent) SameAs(other *Intent) bool {
	return sameFiles(in.Documents(), other.Documents()) && slices.EqualFunc(in.Activations, other.Activations, func(a, b policy.Activation) bool {
		return a.ID == b.ID && a.At.Equal(b.At)
	})
}

// SameButExemptions reports whether two intents have the same policy and inventory, and the same activations apart from those that were scheduled: an
// operator who schedules an activation sees the others that are scheduled.
func (in *Intent) SameButExemptions(other *Intent) bool {
	unscheduled := func(all []policy.Activation) []policy.Activation {
		return slices.DeleteFunc(slices.Clone(all), func(a policy.Activation) bool { return a.Scheduled != 0 })
	}
	return sameFiles(in.Files, other.Files) && slices.EqualFunc(unscheduled(in.Activations), unscheduled(other.Activations), func(a, b policy.Activation) bool {
		return a.ID == b.ID && a.At.Equal(b.At)
	})
}

// load parses the files and creates the compiler.
func (in *Intent) load(ctx context.Context, b *Book) (err error) {
	kept, err := decodeExemptions(in.exempt)
	if err != nil {
		return err
	}
	if in.Bundle, err = b.load(ctx, in.Files, kept); err != nil {
		return err
	}
	in.compiler, err = compile.NewCompiler(in.Bundle, in.Numbers)
	return err
}

// documents returns the documents that represent the intent in the store, by path.
func (in *Intent) documents() (map[string][]byte, error) {
	docs, err := encodeExemptions(in.Bundle.Policy.Exemptions)
	if err != nil {
		return nil, err
	}
	for _, f := range in.Files {
		docs[filesFolder+f.Name] = f.Data
	}
	if docs[numbersPath], err = json.Marshal(in.Numbers); err != nil {
		return nil, err
	}
	if docs[activationsPath], err = json.Marshal(in.Activations); err != nil {
		return nil, err
	}
	return docs, nil
}

// InForce returns the phases in force on a switch at time now. If no phase has begun, it returns ErrNoPhase; the message states when the
// first phase begins.
func (in *Intent) InForce(switchName string, now time.Time) (policy.InForce, error) {
	in = in.For(switchName)
	phases, ok := in.Bundle.Policy.InForceAt(in.Activations, switchName, now)
	if !ok {
		first := "policy " + in.Bundle.Policy.Name + " has no phase with a future date"
		if next, ok := in.Bundle.Policy.NextEvent(now); ok {
			first = "the first begins at " + next.Format(time.RFC3339)
		}
		return policy.InForce{}, fmt.Errorf("switch %q at %s: %w: %s", switchName, now.Format(time.RFC3339), ErrNoPhase, first)
	}
	return phases, nil
}

// Compile returns the desired state of a switch at time now. It returns ErrBroken if the documents cannot be used, ErrNoPhase if no phase
// has begun on the switch, and the errors of compile.Compiler.Compile.
func (in *Intent) Compile(switchName string, now time.Time) (*compile.Compiled, error) {
	in = in.For(switchName)
	if err := in.Broken(); err != nil {
		return nil, err
	}
	if _, ok := in.Bundle.Inventory.Switch(switchName); !ok {
		return in.compiler.Compile(switchName, policy.InForce{}, now) // returns an error that lists the known switches
	}
	phases, err := in.InForce(switchName, now)
	if err != nil {
		return nil, err
	}
	return in.compiler.Compile(switchName, phases, now)
}

// CompileAs is like Compile, but uses the given phases instead of those in force.
func (in *Intent) CompileAs(switchName string, phases policy.InForce, now time.Time) (*compile.Compiled, error) {
	in = in.For(switchName)
	if err := in.Broken(); err != nil {
		return nil, err
	}
	return in.compiler.Compile(switchName, phases, now)
}

// SessionLines returns the lines of a switch whose entries depend on sessions. It returns ErrBroken if the documents cannot be used, and the
// errors of compile.Compiler.SessionLines.
func (in *Intent) SessionLines(switchName string, now time.Time) (*compile.SessionLines, error) {
	in = in.For(switchName)
	if err := in.Broken(); err != nil {
		return nil, err
	}
	return in.compiler.SessionLines(switchName, now)
}

// Rules returns only the rules of the state that CompileAs would return.
//
// If the documents are broken, the rules only serve to recognise a rule set that a switch already has. Such rules must not be written to a
// switch.
func (in *Intent) Rules(switchName string, phases policy.InForce) (compile.Rules, error) {
	in = in.For(switchName)
	if in.broken != nil {
		return in.broken.rules(switchName, phases)
	}
	return in.compiler.Rules(switchName, phases)
}

// Meanings returns the rules that a switch has with the given phases in force, ordered by id. It returns ErrBroken if the documents cannot be used,
// and the errors of compile.Compiler.Meanings.
func (in *Intent) Meanings(switchName string, phases policy.InForce) ([]compile.Rule, error) {
	in = in.For(switchName)
	if err := in.Broken(); err != nil {
		return nil, err
	}
	rules, err := in.compiler.Meanings(switchName, phases)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(rules), func(a, b compile.Rule) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// SameExemptions reports whether the same exemptions are in force at both times.
func (in *Intent) SameExemptions(a, b time.Time) bool {
	for _, of := range in.Contents() {
		if of.broken == nil && !of.compiler.SameExemptions(a, b) {
			return false
		}
	}
	return true
}
