package published

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// A Publication is what a controller publishes of its intent. See the message op25b.v1.Publication. It must not be modified.
type Publication struct {
	ID       string
	Revision uint64
	Stored   time.Time
	// Source has the published documents and activations. Each switch of the inventory is an area. Publications that differ only in States
	// have the same Source and Directory.
	Source *check.Source
	// Directory lists the mail providers.
	Directory *mailbox.Directory
	// States contains what is known of the phases in force: one for each line of the inventory, and one for the unnamed lines of each area.
	States []State

	made []byte // the part of the message from which Source and Directory were made
}

// A State is the phase of a line group in an area.
type State struct {
	Area, Group string
	// Line is the line that stands for the line group in the area. Group and Line are empty for unnamed lines.
	Line string
	// Phase is the phase that should have been in force at the time of the message; empty if no phase had begun.
	Phase string
	// Switches is the number of switches that have lines of the group, and Confirmed the number of those that confirmed the phase.
	Switches, Confirmed uint32
}

// Everywhere reports whether every switch confirmed the phase.
func (s State) Everywhere() bool { return s.Switches > 0 && s.Confirmed >= s.Switches }

// maxElements is the limit on the number of activations and on the number of states of a publication.
const maxElements = 100_000

// Read reads a publication. If only the states differ from those of old, which may be nil, the result has the same Source and Directory, so that
// what was computed from them stays valid. The error wraps ErrPublication.
func Read(ctx context.Context, m *op25bv1.Publication, old *Publication) (*Publication, error) {
	fail := func(err error) (*Publication, error) { return nil, fmt.Errorf("%w: %w", ErrPublication, err) }
	if m.GetId() == "" || len(m.Activations) > maxElements || len(m.States) > maxElements {
		return fail(fmt.Errorf("no id, or more than %d activations or states", maxElements))
	}
	p := &Publication{ID: m.Id, Revision: m.Revision, Stored: m.Stored.AsTime()}
	for _, s := range m.States {
		p.States = append(p.States, State{s.Area, s.LineGroup, s.Line, s.Phase, s.Switches, s.Confirmed})
	}
	var err error
	p.made, err = proto.MarshalOptions{Deterministic: true}.Marshal(&op25bv1.Publication{Files: m.Files, Activations: m.Activations, Providers: m.Providers})
	if err != nil {
		return fail(err)
	}
	if old != nil && bytes.Equal(old.made, p.made) {
		p.Source, p.Directory = old.Source, old.Directory
		return p, nil
	}
	files := make([]strict.File, len(m.Files))
	for i, f := range m.Files {
		files[i] = strict.File{Name: f.Name, Data: f.Data}
	}
	p.Source = &check.Source{}
	if p.Source.Bundle, err = policy.LoadContext(ctx, files, nil); err != nil {
		return fail(err)
	}
	for _, a := range m.Activations {
		p.Source.Activations = append(p.Source.Activations, policy.Activation{
			ID: a.Revision, Phase: a.Phase, Undoes: a.Undoes, Groups: a.Groups, Switches: a.Switches, At: a.Time.AsTime(), UntilNextDate: a.UntilNextDate,
		})
	}
	p.Directory = &mailbox.Directory{}
	if len(m.GetProviders().GetData()) > 0 {
		if p.Directory, err = mailbox.Load(strict.File{Name: m.Providers.Name, Data: m.Providers.Data}); err != nil {
			return fail(err)
		}
	}
	return p, nil
}

// Policy returns the published policy.
func (p *Publication) Policy() *policy.Policy { return p.Source.Bundle.Policy }
