package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// A Bundle is a policy with its inventory. The documents of a Bundle that Load returns are valid together.
type Bundle struct {
	Policy    *Policy
	Inventory *Inventory
	// ExemptionsFile is the name of the file with the document of kind Exemptions, or empty if no file has one.
	ExemptionsFile string
}

// Load reads a Policy and an Inventory from files and validates them. The files, in any order, must contain exactly one document of each
// kind. One more file may contain a document of kind Exemptions.
//
// The error is a strict.Faults. If the documents are malformed, it lists all faults of their form (strict.ErrSyntax, ErrDecode,
// ErrDocuments). Otherwise it lists all faults that Validate finds (ErrInvalid).
func Load(files []strict.File) (*Bundle, error) { return LoadContext(context.Background(), files, nil) }

// LoadContext is like Load, but returns the cause of ctx if ctx ends first. If no file has a document of kind Exemptions, the policy has the
// exemptions in kept.
func LoadContext(ctx context.Context, files []strict.File, kept []Exemption) (*Bundle, error) {
	b, err := readable(ctx, files, kept)
	if err != nil {
		return nil, err
	}
	if err := Validate(ctx, b.Policy, b.Inventory); err != nil {
		return nil, err
	}
	b.settle()
	return b, nil
}

// Salvage is like LoadContext, but does not validate the documents. It is for documents that an earlier release accepted and this release
// might not. The caller can use the result to change the phase in force, but must not compile it, except with compile.NewSalvager.
func Salvage(ctx context.Context, files []strict.File, kept []Exemption) (*Bundle, error) {
	b, err := readable(ctx, files, kept)
	if err != nil {
		return nil, err
	}
	b.settle()
	return b, nil
}

// readable reads documents and checks their form without validating them.
func readable(ctx context.Context, files []strict.File, kept []Exemption) (*Bundle, error) {
	if strict.Nodes(files) > strict.MaxNodes {
		return nil, strict.Faults{*strict.TooMany("")}
	}
	r := reader{ctx: ctx, seen: make(map[string]strict.Pos)}
	for _, f := range files {
		if len(r.faults) < strict.MaxFaults && ctx.Err() == nil {
			r.file(f)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.complete(files)
	if err := r.faults.OrNil(); err != nil {
		return nil, err
	}
	p := r.policy
	if r.exemptionsFile == "" {
		p.Exemptions, p.exemptSrc, p.exemptKept = slices.Clone(kept), strict.Unplaced("stored exemptions"), true
	} else {
		p.Exemptions, p.exemptSrc = r.exemptions.Exemptions, r.exemptSrc
	}
	return &Bundle{Policy: p, Inventory: r.inventory, ExemptionsFile: r.exemptionsFile}, nil
}

// settle drops what is needed only to report the positions of faults: the parsed YAML nodes and the order of the exemptions.
func (b *Bundle) settle() {
	b.Policy.src.Forget()
	b.Policy.exemptSrc.Forget()
	b.Inventory.src.Forget()
	b.Policy.sortExemptions()
}

// A reader collects the documents found in the files.
type reader struct {
	ctx       context.Context
	policy    *Policy
	inventory *Inventory
	seen      map[string]strict.Pos // the position of the first document of each kind, including unreadable documents; key "" means that the kind is unknown
	faults    strict.Faults

	exemptions     exemptionsDocument
	exemptSrc      strict.Document
	exemptionsFile string // the name of the file with the exemptions
}

// file reads every document of a file.
func (r *reader) file(f strict.File) {
	docs, fault := strict.Parse(r.ctx, f)
	if fault != nil {
		r.faults = append(r.faults, *fault)
		r.seen[""] = fault.Pos
		return
	}
	for _, doc := range docs {
		r.document(doc, len(docs))
	}
}

// complete adds a fault for each missing document.
func (r *reader) complete(files []strict.File) {
	if _, unknown := r.seen[""]; unknown {
		return // the document of unknown kind may be the missing one
	}
	for _, kind := range []string{KindPolicy, KindInventory} {
		if _, ok := r.seen[kind]; ok {
			continue
		}
		in := "no file was given"
		if len(files) > 0 {
			fileNames := make([]string, len(files))
			for i, f := range files {
				fileNames[i] = f.Name
			}
			in = "not in " + strings.Join(fileNames, ", ")
		}
		r.faults = append(r.faults, strict.Fault{
			Kind: strict.ErrDocuments, What: fmt.Sprintf("there is no %s document: %s", kind, in),
			Way: fmt.Sprintf("give a file with a document that has apiVersion: %s and kind: %s", strict.APIVersion, kind),
		})
	}
}

// document decodes one document and keeps it in the reader. together is the number of documents in its file.
func (r *reader) document(doc strict.Document, together int) {
	d := strict.NewDecoder(r.ctx, doc)
	defer func() { r.faults = append(r.faults, d.Faults()...) }()
	kind, ok := d.Header(KindPolicy, KindInventory, KindExemptions)
	if first, again := r.seen[kind]; again && kind != "" {
		d.Fault(strict.ErrDocuments, "kind", fmt.Sprintf("a second %s document", kind), fmt.Sprintf("the first is at %v: keep one", first))
		return
	}
	r.seen[kind] = doc.Pos()
	if !ok {
		return
	}
	switch kind {
	case KindPolicy:
		r.policy = &Policy{src: doc}
		d.Moved("exemptions", fmt.Sprintf("exemptions are in a file of their own, with apiVersion: %s, kind: %s and this key", strict.APIVersion, KindExemptions))
		d.Decode(r.policy)
	case KindInventory:
		r.inventory = &Inventory{src: doc}
		d.Decode(r.inventory)
	case KindExemptions:
		if together > 1 { // commands replace the exemptions, and leave other files as they were written
			d.Fault(strict.ErrDocuments, "kind", "the file has other documents beside the exemptions", "put the document of kind "+KindExemptions+" into a file of its own")
			return
		}
		r.exemptSrc, r.exemptionsFile = doc, doc.Pos().File
		d.Decode(&r.exemptions)
	}
}
