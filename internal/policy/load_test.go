package policy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/strict"
)

// file reads a file for Load, under its base name.
func file(t testing.TB, path string) strict.File {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strict.File{Name: filepath.Base(path), Data: content}
}

// load loads files whose documents must be valid together.
func load(t testing.TB, paths ...string) *Bundle {
	t.Helper()
	var files []strict.File
	for _, path := range paths {
		files = append(files, file(t, path))
	}
	b, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// example loads the worked example.
func example(t testing.TB) *Bundle {
	t.Helper()
	const dir = "../../examples/spinnet-2006/"
	return load(t, dir+"policy.yaml", dir+"inventory.yaml", dir+"exemptions.yaml")
}

// TestBad loads documents with one fault each, together with a valid document of the other kind if the file has only one kind. It compares the
// messages word for word, because operators read them.
func TestBad(t *testing.T) {
	bad, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(bad) == 0 {
		t.Fatalf("no testdata/*.bad.yaml: %v", err)
	}
	for _, path := range bad {
		name := strings.TrimSuffix(filepath.Base(path), ".bad.yaml")
		t.Run(name, func(t *testing.T) {
			files := []strict.File{file(t, path)}
			has := func(kind string) bool { return bytes.Contains(files[0].Data, []byte("kind: "+kind)) }
			if has(KindInventory) != has(KindPolicy) || has(KindExemptions) {
				for kind, path := range map[string]string{KindPolicy: "policy.yaml", KindInventory: "inventory.yaml", KindExemptions: "exemptions.yaml"} {
					if !has(kind) {
						files = append(files, file(t, "testdata/"+path))
					}
				}
			} else if !has(KindInventory) {
				files = append(files, file(t, "testdata/inventory.yaml"))
			}
			b, err := Load(files)
			if err == nil || b != nil {
				t.Fatalf("accepted: %v, %v", b, err)
			}
			want := file(t, "testdata/"+name+".want")
			if diff := cmp.Diff(string(want.Data), err.Error()+"\n"); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			kinds := 0
			for _, kind := range []error{strict.ErrSyntax, strict.ErrDecode, strict.ErrDocuments, ErrInvalid} {
				if errors.Is(err, kind) {
					kinds++
				}
			}
			if kinds != 1 {
				t.Errorf("the error is of %d kinds, want 1", kinds)
			}
		})
	}
}

// TestFilesInAnyForm verifies that it does not matter how the two documents are divided among files.
func TestFilesInAnyForm(t *testing.T) {
	p, inv := file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")
	both := func(sep string, list ...[]byte) []strict.File {
		return []strict.File{{Name: "all.yaml", Data: bytes.Join(list, []byte(sep))}}
	}
	want, err := Load([]strict.File{p, inv})
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]strict.File{
		"inventory first":            {inv, p},
		"one file":                   both("---\n", p.Data, inv.Data),
		"one file, other order":      both("---\n", inv.Data, p.Data),
		"empty and comment-only too": append(both("\n---\n# nothing here\n---\n---\n", p.Data, inv.Data), strict.File{Name: "empty.yaml"}, strict.File{Name: "comment.yaml", Data: []byte("# nothing\n")}),
		"CRLF":                       both("---\r\n", bytes.ReplaceAll(p.Data, []byte("\n"), []byte("\r\n")), bytes.ReplaceAll(inv.Data, []byte("\n"), []byte("\r\n"))),
		"byte order mark":            {{Name: "p", Data: append([]byte("\ufeff"), p.Data...)}, inv},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Load(files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Policy{}, Inventory{}), cmp.FilterPath(isSource, cmp.Ignore()), compareAddresses); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func isSource(p cmp.Path) bool {
	return slices.Contains([]string{".src", ".exemptSrc"}, p.Last().String())
}

// TestDocumentsMissing verifies that the error names each missing document and the files that were read.
func TestDocumentsMissing(t *testing.T) {
	p, inv := file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")
	const way = "; give a file with a document that has apiVersion: op25b/v1 and kind: "
	for name, c := range map[string]struct {
		files []strict.File
		kind  error
		want  string
	}{
		"nothing": {nil, strict.ErrDocuments, "there is no Policy document: no file was given" + way + "Policy\n" +
			"there is no Inventory document: no file was given" + way + "Inventory"},
		"no inventory": {[]strict.File{p}, strict.ErrDocuments, "there is no Inventory document: not in policy.yaml" + way + "Inventory"},
		"no policy":    {[]strict.File{inv, {Name: "empty.yaml"}}, strict.ErrDocuments, "there is no Policy document: not in inventory.yaml, empty.yaml" + way + "Policy"},
		"two policies": {
			[]strict.File{p, inv, {Name: "old.yaml", Data: p.Data}},
			strict.ErrDocuments,
			"old.yaml:1:1: a second Policy document; the first is at policy.yaml:1:1: keep one",
		},
		"not UTF-8": {
			[]strict.File{p, {Name: "sjis.yaml", Data: []byte("apiVersion: op25b/v1\nname: ab\x83\x81\n")}},
			strict.ErrSyntax,
			"sjis.yaml:2:9: byte 0x83 is not UTF-8; save the file as UTF-8",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(c.files)
			if !errors.Is(err, c.kind) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestAllFaultsAtOnce verifies that one call reports all faults, in the order of the file.
func TestAllFaultsAtOnce(t *testing.T) {
	p, inv := file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")
	text := string(p.Data)
	for _, change := range [][2]string{{"remote: carrier", "remote: cariers"}, {"2006-10-01", "2006-01-01"}, {"relay: true, ", ""}} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("testdata/policy.yaml has no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	_, err := Load([]strict.File{{Name: p.Name, Data: []byte(text)}, inv})
	var faults strict.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %T %v, want Faults", err, err)
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
	}
	if diff := cmp.Diff([]int{11, 17, 20}, lines); diff != "" {
		t.Errorf("lines of the faults, -want +got:\n%s\n%v", diff, err)
	}
}

// FuzzLoad verifies that Load never panics, and that every error has a text.
func FuzzLoad(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.yaml")
	for _, path := range paths {
		f.Add(file(f, path).Data)
	}
	inv := file(f, "testdata/inventory.yaml")
	f.Fuzz(func(t *testing.T, input []byte) {
		b, err := Load([]strict.File{{Name: "fuzz.yaml", Data: input}, inv})
		if (b == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want one of them", b, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an error without a text")
		}
	})
}
