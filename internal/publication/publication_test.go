package publication_test

import (
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/policy"
	"op25b/internal/publication"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// fataler is what testing.TB and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func load(t fataler, files []strict.File) *policy.Bundle {
	t.Helper()
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// published loads the documents of a publication.
func published(t fataler, p *op25bv1.Publication) *policy.Bundle {
	t.Helper()
	var files []strict.File
	for _, f := range p.Files {
		files = append(files, strict.File{Name: f.Name, Data: f.Data})
	}
	return load(t, files)
}

// The three switches of the example treat their lines alike, so they are one area with a line for each line group.
func TestExample(t *testing.T) {
	d, err := publication.Make(publication.Source{Bundle: load(t, examples.LibmoMobile()), Revision: 3}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC)
	p := d.Publish(now, map[string]string{"edge-west": "drain", "edge-south": "watch"})
	b := published(t, p)
	if n := len(b.Inventory.Switches); n != 1 || len(b.Inventory.Switches[0].Lines) != 2 || len(b.Policy.Exemptions) != 0 || p.Revision != 3 {
		t.Errorf("%d areas: %v", n, p)
	}
	for i, want := range []struct {
		group               string
		switches, confirmed uint32
	}{{"sim", 3, 1}, {"sim-fixed", 1, 0}} {
		if s := p.States[i]; s.LineGroup != want.group || s.Area != "area-1" || s.Phase != "drain" || s.Switches != want.switches || s.Confirmed != want.confirmed {
			t.Errorf("%v, want %+v", s, want)
		}
	}
	if area, line, ok := d.Line("sim-south-3"); !ok || area != "area-1" || line != p.States[0].Line {
		t.Errorf("%s %s %v", area, line, ok)
	}
	if _, _, ok := d.Line("sim-north-1"); ok {
		t.Error("a line that is not in the inventory is published")
	}
}
