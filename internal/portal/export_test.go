package portal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"op25b/examples"
	"op25b/internal/page/pagetest"
	"op25b/internal/policy"
	"op25b/internal/portal"
	"op25b/internal/portal/portaltest"
	"op25b/internal/portal/published"
)

// export exports the example of 2006 at the beginning of a day.
func export(t testing.TB, at string, acts ...policy.Activation) *portal.Exported {
	t.Helper()
	return exported(t, start(t, at, nil, acts...), time.Now())
}

func exported(t testing.TB, r *rig, now time.Time) *portal.Exported {
	t.Helper()
	site, err := portal.New(portal.Config{Published: r.published, Content: shipped(t), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	x, err := site.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// written writes an export and returns its folder.
func written(t testing.TB, x *portal.Exported) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := x.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestExportLinks verifies that every link of every file of an export leads to a file of the export, or to another site. Addresses of the
// site itself, which the feeds and calendars have, must be those of files too.
func TestExportLinks(t *testing.T) {
	aloneInShort(t)
	dir := written(t, export(t, "2006-12-01"))
	c := shipped(t)
	found, ids := 0, map[string]map[string]bool{}
	check := func(file, link string) {
		t.Helper()
		if rest, own := strings.CutPrefix(link, c.Site.URL); own {
			file, link = "", rest
		}
		u, err := url.Parse(link)
		if err != nil {
			t.Errorf("%s: %q: %v", file, link, err)
			return
		}
		if u.Scheme != "" || u.Host != "" {
			return
		}
		found++
		if strings.HasPrefix(u.Path, "/") {
			t.Errorf("%s: %q is not relative", file, link)
		}
		target := file
		if u.Path != "" {
			target = path.Join(path.Dir(file), u.Path)
		}
		info, err := os.Stat(filepath.Join(dir, target))
		if err != nil || info.IsDir() {
			t.Errorf("%s: %q leads to no file", file, link)
		}
		if u.Fragment != "" && !ids[target][u.Fragment] {
			t.Errorf("%s: %q leads to no element", file, link)
		}
	}
	pages := map[string]*html.Node{}
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		switch path.Ext(rel) {
		case ".html":
			if pages[rel], err = html.Parse(bytes.NewReader(data)); err != nil {
				return err
			}
			ids[rel] = map[string]bool{}
			for n := range pages[rel].Descendants() {
				for _, a := range n.Attr {
					if a.Key == "id" {
						ids[rel][a.Val] = true
					}
				}
			}
		case ".atom":
			for _, m := range strings.Split(string(data), `href="`)[1:] {
				link, _, _ := strings.Cut(m, `"`)
				check("", link) // relative to xml:base
			}
		case ".ics":
			unfolded := strings.ReplaceAll(string(data), "\r\n ", "")
			for line := range strings.Lines(unfolded) {
				if link, is := strings.CutPrefix(line, "URL:"); is {
					check("", strings.TrimSpace(link))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, root := range pages {
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if slices.Contains([]string{"form", "script", "iframe", "base"}, n.Data) {
				t.Errorf("%s has an element %s", file, n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "href" || a.Key == "src" || a.Key == "action" {
					check(file, a.Val)
				}
			}
		}
	}
	if files < 100 || found < 1000 {
		t.Errorf("only %d files with %d links", files, found)
	}
}

// TestExportIsComplete verifies that the export has an answer for each kind of line, use and provider in both languages, with the revision and
// the date, and that an answer is that of the served page.
func TestExportIsComplete(t *testing.T) {
	aloneInShort(t)
	x := export(t, "2006-09-30")
	files := map[string]string{}
	answers := 0
	for _, f := range x.Files {
		files[f.Name] = string(f.Data)
		if strings.HasPrefix(f.Name, "en/a/") {
			answers++
		}
		if strings.HasPrefix(f.Name, "en/") {
			want(t, f.Name, string(f.Data), "This page was written on 30 September 2006", "from revision 7 of our policy", "The next change is on 1 October 2006")
		}
		if strings.HasPrefix(f.Name, "ja/") {
			want(t, f.Name, string(f.Data), "このページは、規制方針（第7版）から2006年9月30日")
		}
		if strings.Contains(string(f.Data), "business-fixed") || strings.Contains(string(f.Data), "edge-1") {
			t.Errorf("%s has a name that is not public", f.Name)
		}
	}
	providers, err := published.Read(t.Context(), portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), day("2006-09-30")), nil)
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]bool{}
	for _, s := range providers.States {
		groups[s.Group] = true
	}
	if n := len(groups) * (len(providers.Directory.Providers) + 3); answers != n { // webmail, the own server, and a provider that is not in the list
		t.Errorf("%d answers for %d line groups and %d providers, want %d", answers, len(groups), len(providers.Directory.Providers), n)
	}
	for _, name := range []string{"index.html", "ja/index.html", "en/programme.html", "ja/notices/2006-05-18-port25.html", "assets/base.css", "assets/portal.css", ".well-known/security.txt", "policy.json", "notices.ja.atom", "programme.en.ics"} {
		if files[name] == "" {
			t.Errorf("the export lacks %s", name)
		}
	}
	if !json.Valid([]byte(files["policy.json"])) {
		t.Error("policy.json is not JSON")
	}
	t.Logf("%d files, %d kB", len(x.Files), sizeOf(x)>>10)
}

// TestExportSize verifies the number of files and their size in docs/portal.md, with all notices of the example published.
func TestExportSize(t *testing.T) {
	aloneInShort(t)
	x := export(t, "2026-11-29")
	doc, err := os.ReadFile("../../docs/portal.md")
	if err != nil {
		t.Fatal(err)
	}
	files := len(x.Files) + 1 // the one by which a folder is known to be an export
	if size := fmt.Sprintf("The example takes %d files and %.0f MB.", files, float64(sizeOf(x))/1e6); !strings.Contains(string(doc), size) {
		t.Errorf("docs/portal.md lacks %q", size)
	}
}

func sizeOf(x *portal.Exported) (n int) {
	for _, f := range x.Files {
		n += len(f.Data)
	}
	return n
}

// TestExportIsDeterministic verifies that two exports of a publication are the same, and bounds their size: an answer takes at most 16 kB.
func TestExportIsDeterministic(t *testing.T) {
	aloneInShort(t)
	now := time.Now()
	r := start(t, "2006-12-01", nil)
	r.stop() // on a busy machine, the portal may lose the controller between the two exports, and then says so
	a, b := exported(t, r, now), exported(t, r, now)
	if len(a.Files) != len(b.Files) {
		t.Fatalf("two exports have %d and %d files", len(a.Files), len(b.Files))
	}
	for i, f := range a.Files {
		if f.Name != b.Files[i].Name || !bytes.Equal(f.Data, b.Files[i].Data) {
			t.Fatalf("two exports differ: %s and %s\n%s", f.Name, b.Files[i].Name, cmp.Diff(string(f.Data), string(b.Files[i].Data)))
		}
	}
	if size := sizeOf(a); size > 16<<10*len(a.Files) {
		t.Errorf("%d files with %d bytes", len(a.Files), size)
	}
}

// TestExportWrite verifies that an export replaces an earlier one as a whole, and nothing else.
func TestExportWrite(t *testing.T) {
	x := &portal.Exported{Files: []portal.File{{Name: "ja/index.html", Data: []byte("new")}}}
	parent := t.TempDir()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	for name, prepare := range map[string]func(dir string) error{
		"new":   func(string) error { return nil },
		"empty": func(dir string) error { return os.Mkdir(dir, 0o700) },
		"earlier": func(dir string) error {
			return (&portal.Exported{Files: []portal.File{{Name: "en/old.html", Data: []byte("old")}}}).Write(dir)
		},
		"linked": func(dir string) error {
			return errors.Join(os.Mkdir(dir+"-target", 0o755), os.Symlink(dir+"-target", dir))
		},
	} {
		dir := filepath.Join(parent, name)
		if err := prepare(dir); err != nil {
			t.Fatal(err)
		}
		if err := x.Write(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := read(name + "/ja/index.html"); got != "new" {
			t.Errorf("%s: %s", name, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "en")); err == nil {
			t.Errorf("%s: a file of the earlier export is left", name)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Lstat(filepath.Join(parent, "linked")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if err := os.MkdirAll(filepath.Join(parent, "home", "photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(parent, "file"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"home": "not an export: " + filepath.Join(parent, "home") + " has files that op25b did not write: name a new folder, an empty one, or an earlier export",
		"file": "not an export: " + filepath.Join(parent, "file") + " is a file: name a new folder, an empty one, or an earlier export",
	} {
		if err := x.Write(filepath.Join(parent, name)); !errors.Is(err, portal.ErrNotExport) || err.Error() != text {
			t.Errorf("%s: %v, want %s", name, err, text)
		}
	}
	if err := x.Write(filepath.Join(parent, "nowhere", "site")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the folder above: %v", err)
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// TestExportInBrowser shows pages of an export from a plain file server in a real browser.
func TestExportInBrowser(t *testing.T) {
	t.Parallel()
	x := export(t, "2006-12-01")
	server := httptest.NewServer(http.StripPrefix("/mail", http.FileServer(http.Dir(written(t, x)))))
	defer server.Close()
	var answer string
	for _, f := range x.Files {
		if rest, is := strings.CutPrefix(f.Name, "en/a/"); is {
			answer = "a/" + rest
		}
	}
	ctx, faults := pagetest.Chromium(t)
	for _, l := range []string{"ja", "en"} {
		for i, name := range []string{"index.html", l + "/index.html", l + "/line/1.html", l + "/" + answer, l + "/programme.html", l + "/policy.html", l + "/notices/2006-05-18-port25.html"} {
			noScript := i%2 == 0
			for j, r := range []pagetest.Reader{{Lang: l, Width: 320, NoScript: noScript}, {Lang: l, Width: 1280, Dark: true, NoScript: noScript}} {
				pagetest.As(t, ctx, r)
				if j == 0 {
					pagetest.Open(t, ctx, server.URL+"/mail/"+name)
				}
				for _, b := range append(pagetest.Tree(t, ctx).Faults(), pagetest.Evaluate[[]string](t, ctx, pagetest.Rules)...) {
					t.Errorf("%s as %+v: %s", name, r, b)
				}
			}
		}
	}
	for _, f := range faults() {
		t.Errorf("console: %s", f)
	}
}
