// Package publication makes from an intent what customers may know of it: the policy without exemptions, and an inventory of areas in place
// of the switches and lines.
//
// The published documents give the same verdicts as the real ones. Package check answers a question about a published line in the same way
// as a question about each real line for which it stands, unless that line has an exemption. The published documents contain no name or
// address of a line or switch, and no operator's name or reason.
//
// The package is pure: it does no I/O and reads no clock. It trusts its caller's report of what switches confirmed.
package publication

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// The names of the published files.
const (
	PolicyFile    = "policy.yaml"
	InventoryFile = "inventory.yaml"
	ProvidersFile = "providers.yaml"
)

// MaxLines is the limit on the number of published lines. A published line takes about 150 bytes in the inventory.
const MaxLines = 16384

// A Source is the intent to publish. It must not be modified afterwards.
type Source struct {
	// Bundle contains documents that policy.Load accepted, and Activations the operators' activations, in the order in which the store
	// accepted them.
	Bundle      *policy.Bundle
	Activations []policy.Activation
	// Revision is the number of the revision, and Stored the time at which it was stored.
	Revision uint64
	Stored   time.Time
	// Numbers maps the names in the documents to their numbers on the switches. It may be nil; it is not published.
	Numbers *compile.Numbers
	// Directory is the directory of mail providers. It may be nil.
	Directory *mailbox.Directory
}

// Documents are the published documents of a source. They are read-only.
type Documents struct {
	source    Source
	areas     []*area
	lines     map[string]*line // by the name of the real line
	exempt    *exemptions
	check     check.Source
	published *op25bv1.Publication // without states and id
	digest    [sha256.Size]byte    // of published
}

// Make makes the published documents of a source. now is the present time. Make returns ErrTooLarge if more than MaxLines lines would be
// published, and ErrNoAddress if the documents leave no documentation prefix for a published line.
func Make(s Source, now time.Time) (*Documents, error) {
	d := &Documents{source: s, exempt: exemptionsOf(s.Bundle)}
	d.areas, d.lines = areasOf(s.Bundle, s.Activations, now)
	n := 0
	for _, a := range d.areas {
		n += len(a.lines)
	}
	if n > MaxLines {
		return nil, fmt.Errorf("%w: it would have %d lines, one for each kind of line in each of %d areas, and the limit is %d", ErrTooLarge, n, len(d.areas), MaxLines)
	}
	inventory, err := inventoryOf(s.Bundle, d.areas)
	if err != nil {
		return nil, err
	}
	shown := public(s.Bundle.Policy)
	m := &op25bv1.Publication{Revision: s.Revision, Stored: timestamppb.New(s.Stored), UtcOffset: s.Bundle.Policy.UTCOffset.String()}
	for _, f := range []struct {
		name, kind string
		content    any
	}{{PolicyFile, policy.KindPolicy, shown}, {InventoryFile, policy.KindInventory, inventory}} {
		file, err := fileOf(f.name, f.kind, f.content)
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, file)
	}
	if s.Directory != nil {
		if m.Providers, err = fileOf(ProvidersFile, mailbox.Kind, s.Directory); err != nil {
			return nil, err
		}
	}
	m.Activations, d.check.Activations = d.activations()
	d.check.Bundle = &policy.Bundle{Policy: shown, Inventory: inventory}
	d.check.Numbers = numbersOf(s.Numbers, inventory)
	d.published, d.digest = m, digest(m)
	return d, nil
}

func fileOf(name, kind string, content any) (*op25bv1.File, error) {
	data, err := strict.Encode(kind, content)
	return &op25bv1.File{Name: name, Data: data}, err
}

// public returns a copy of a policy without exemptions, and without the knob of line groups that no switch depends on.
func public(p *policy.Policy) *policy.Policy {
	q := *p
	q.Exemptions = nil
	q.LineGroups = make([]policy.LineGroup, len(p.LineGroups))
	for i, g := range p.LineGroups {
		g.WatchInfected = false
		q.LineGroups[i] = g
	}
	return &q
}

// activations returns the activations that cover an area, with the areas' names in place of those of switches.
func (d *Documents) activations() (messages []*op25bv1.Activation, all []policy.Activation) {
	for i := range d.source.Activations {
		a := d.source.Activations[i]
		everywhere := len(a.Switches) == 0
		a.Switches, a.Author, a.Reason = nil, "", ""
		for _, area := range d.areas {
			if !everywhere && area.covered[i] {
				a.Switches = append(a.Switches, area.name)
			}
		}
		if !everywhere && len(a.Switches) == 0 {
			continue
		}
		all = append(all, a)
		messages = append(messages, &op25bv1.Activation{
			Phase: a.Phase, Groups: a.Groups, Switches: a.Switches, Time: timestamppb.New(a.At), Revision: a.ID, Undoes: a.Undoes, UntilNextDate: a.UntilNextDate,
		})
	}
	return messages, all
}

// numbersOf returns the numbers of the published documents. The rules have the numbers that they have on the switches.
func numbersOf(n *compile.Numbers, inv *policy.Inventory) *compile.Numbers {
	if n == nil {
		return nil
	}
	m := *n
	m.Lines = make(map[string]compile.Given, len(inv.Switches))
	for i := range inv.Switches {
		sw := &inv.Switches[i]
		given := make(compile.Given, len(sw.Lines))
		for j := range sw.Lines {
			given[sw.Lines[j].Name] = compile.Numbered{Number: uint16(j + 1)}
		}
		m.Lines[sw.Name] = given
	}
	return &m
}

// Check returns the published documents as a source for package check. A reader of the publication gets the same answers, apart from the
// numbers of rules.
func (d *Documents) Check() check.Source { return d.check }

// Line returns the published line that stands for a real line, and its area. ok is false if the inventory does not have the line.
func (d *Documents) Line(name string) (area, line string, ok bool) {
	l, ok := d.lines[name]
	if !ok {
		return "", "", false
	}
	return l.area.name, l.name, true
}

// Publish returns the publication at the time now. seen has the phases in force that switches confirmed at this revision, as the text of a
// policy.InForce, by the name of the switch. The result is the same for equal arguments. Its documents are shared by all publications of d,
// so it must not be modified.
func (d *Documents) Publish(now time.Time, seen map[string]string) *op25bv1.Publication {
	p := d.published
	m := &op25bv1.Publication{
		Revision: p.Revision, Stored: p.Stored, UtcOffset: p.UtcOffset, Files: p.Files, Activations: p.Activations, Providers: p.Providers,
	}
	for _, a := range d.areas {
		m.States = append(m.States, a.states(d.source, now, seen)...)
	}
	states := digest(&op25bv1.Publication{States: m.States})
	both := sha256.Sum256(append(d.digest[:], states[:]...))
	m.Id = hex.EncodeToString(both[:16])
	return m
}

// digest returns a digest of a part of a publication.
func digest(m *op25bv1.Publication) [sha256.Size]byte {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("publication: %v", err)) // all strings are valid UTF-8, because they come from YAML
	}
	return sha256.Sum256(text)
}
