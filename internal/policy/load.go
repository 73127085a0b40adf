package policy

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A File is a file's name, for messages, and what is in it.
type File struct {
	Name string
	Data []byte
}

func (f File) name() string { return f.Name }

// A Bundle is a policy and the inventory that it is for, which have been found valid together.
type Bundle struct {
	Policy    *Policy
	Inventory *Inventory
}

// Load reads a Policy and an Inventory from one file or several, in any order, and validates them. There must be exactly one of each.
//
// The error is a Faults: all that is wrong with the form of the documents (ErrSyntax, ErrDecode, ErrDocuments), or, once they can be
// read, all that is wrong with their meaning (ErrInvalid).
func Load(files []File) (*Bundle, error) { return LoadContext(context.Background(), files) }

// LoadContext is Load, and ends early with the context's cause.
func LoadContext(ctx context.Context, files []File) (*Bundle, error) {
	b, err := readable(ctx, files)
	if err != nil {
		return nil, err
	}
	if err := validate(ctx, b.Policy, b.Inventory); err != nil {
		return nil, err
	}
	b.forgetPlaces()
	return b, nil
}

// Salvage reads documents whose form is right, whatever they mean, as those are that an earlier release took for valid. Their names and dates
// can be used, so that a phase can be changed; nothing may be compiled of them. The error is a Faults of their form, or the context's cause.
func Salvage(ctx context.Context, files []File) (*Bundle, error) {
	b, err := readable(ctx, files)
	if err != nil {
		return nil, err
	}
	b.forgetPlaces()
	return b, nil
}

// readable reads documents as far as their form goes.
func readable(ctx context.Context, files []File) (*Bundle, error) {
	if Nodes(files) > MaxNodes {
		return nil, Faults{*tooMany("")}
	}
	r := reader{ctx: ctx, seen: make(map[string]Pos)}
	for _, f := range files {
		if len(r.faults) < maxFaults && ctx.Err() == nil {
			r.file(f)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.complete(files)
	if err := r.faults.orNil(); err != nil {
		return nil, err
	}
	return &Bundle{Policy: r.policy, Inventory: r.inventory}, nil
}

// forgetPlaces gives up the nodes of the text, which take twenty times its room: nobody asks for places any more.
func (b *Bundle) forgetPlaces() { b.Policy.src.root, b.Inventory.src.root = nil, nil }

// A reader collects the documents of files.
type reader struct {
	ctx       context.Context
	policy    *Policy
	inventory *Inventory
	seen      map[string]Pos // the first document of each kind, readable or not; "" is one whose kind is not known
	faults    Faults
}

// file reads every document of a file.
func (r *reader) file(f File) {
	docs, fault := parse(r.ctx, f)
	if fault != nil {
		r.faults = append(r.faults, *fault)
		r.seen[""] = fault.Pos
		return
	}
	for _, doc := range docs {
		r.document(f.Name, doc)
	}
}

// complete notes which documents were not there at all.
func (r *reader) complete(files []File) {
	if _, unknown := r.seen[""]; unknown {
		return // what seems to be missing may be what could not be read
	}
	for _, kind := range []string{KindPolicy, KindInventory} {
		if _, ok := r.seen[kind]; ok {
			continue
		}
		in := "no file was given"
		if len(files) > 0 {
			in = "not in " + strings.Join(Names(files), ", ")
		}
		r.faults = append(r.faults, Fault{
			Kind: ErrDocuments, What: fmt.Sprintf("there is no %s document: %s", kind, in),
			Way: fmt.Sprintf("give a file with a document that has apiVersion: %s and kind: %s", APIVersion, kind),
		})
	}
}

// document reads one document into the reader.
func (r *reader) document(file string, n *yaml.Node) {
	d := decoder{ctx: r.ctx, file: file}
	defer func() { r.faults = append(r.faults, d.faults...) }()

	kind, ok := d.header(n, KindPolicy, KindInventory)
	if first, again := r.seen[kind]; again && kind != "" {
		d.fault(ErrDocuments, d.pos(n), "kind", fmt.Sprintf("a second %s document", kind), fmt.Sprintf("the first is at %v: keep one", first))
		return
	}
	r.seen[kind] = d.pos(n)
	if !ok {
		return
	}
	var doc reflect.Value
	switch src := (source{file: file, root: n}); kind {
	case KindPolicy:
		r.policy = &Policy{src: src}
		doc = reflect.ValueOf(r.policy).Elem()
	case KindInventory:
		r.inventory = &Inventory{src: src}
		doc = reflect.ValueOf(r.inventory).Elem()
	}
	attempt(func() { d.mapping(n, doc, "", "apiVersion", "kind") })
}

// header reads a document's version and kind. It reports false, with the faults noted, where either is not one that is read here.
func (d *decoder) header(n *yaml.Node, kinds ...string) (kind string, ok bool) {
	if shapeOf(n) != mappingShape {
		d.fault(ErrDecode, d.pos(n), "", "the document is "+nodeName(n), "it wants a mapping that begins with apiVersion: "+APIVersion+" and kind: "+strings.Join(kinds, " or "))
		return "", false
	}
	kind, ok = d.headerKey(n, "kind", kinds)
	_, versionOK := d.headerKey(n, "apiVersion", []string{APIVersion})
	return kind, ok && versionOK
}

// headerKey reads a key whose valid values are few.
func (d *decoder) headerKey(m *yaml.Node, key string, valid []string) (string, bool) {
	n := child(m, key)
	if n == nil {
		d.fault(ErrDecode, d.pos(m), key, fmt.Sprintf("the document has no %q", key), "it wants "+strings.Join(valid, " or "))
		return "", false
	}
	if shapeOf(n) != textShape {
		d.fault(ErrDecode, d.pos(n), key, fmt.Sprintf("%s is %s", key, nodeName(n)), "it wants "+strings.Join(valid, " or "))
		return "", false
	}
	if !slices.Contains(valid, n.Value) {
		d.fault(ErrDecode, d.pos(n), key, fmt.Sprintf("unknown %s %q", key, n.Value), Nearest(n.Value, valid, "known"))
		return "", false
	}
	return n.Value, true
}
