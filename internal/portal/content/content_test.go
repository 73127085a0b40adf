package content

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"op25b/examples"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/article"
	"op25b/internal/portal/folder"
	"op25b/internal/portal/notice"
	"op25b/internal/portal/site"
	"op25b/internal/strict"
)

// TestExample verifies that the shipped content folder is valid, and that its notices are rendered with the values of its site file.
func TestExample(t *testing.T) {
	c, err := Load(examples.Portal())
	if err != nil {
		t.Fatal(err)
	}
	today := policy.Date{Year: 2026, Month: 11, Day: 29}
	pages := map[string]string{}
	for _, name := range article.Pages() {
		pages[name] = "/" + name
	}
	for _, l := range lang.All() {
		for _, n := range c.Notices.Current(l, today) {
			if _, err := n.Render(article.Given{Site: c.Site, Pages: pages}.Values(l)); err != nil {
				t.Error(err)
			}
		}
	}
	if c.Site == nil || len(c.Notices.Current(lang.Japanese, today)) == 0 || c.Articles == nil || len(c.Guide.Programs) == 0 {
		t.Errorf("%+v", c)
	}
}

// onlySite returns a folder with the example's site file, and the given files.
func onlySite(t *testing.T, more map[string]string) fstest.MapFS {
	t.Helper()
	data, err := fs.ReadFile(examples.Portal(), "site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{"site.yaml": {Data: data}}
	for name, text := range more {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

const guideYAML = "apiVersion: op25b/v1\nkind: Guide\nprograms:\n  - {name: own, title: {ja: a, en: b}, steps: {ja: [a], en: [b]}}\n"

func TestOptional(t *testing.T) {
	c, err := Load(onlySite(t, nil))
	if err != nil || len(c.Notices.Current(lang.English, policy.Date{Year: 2026, Month: 1, Day: 1})) != 0 || len(c.Guide.Programs) < 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = Load(onlySite(t, map[string]string{"guide.yaml": guideYAML})); err != nil || len(c.Guide.Programs) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestAllFaultsAtOnce verifies that one call reports the faults of all files, with their paths in the folder.
func TestAllFaultsAtOnce(t *testing.T) {
	files := onlySite(t, map[string]string{
		"guide.yaml": strings.Replace(guideYAML, "own", "Own", 1), "notices/a.ja.md": "text", "pages/none.ja.md": "text", "notice/a.md": "text", "readme.txt": "text",
	})
	files["site.yaml"].Data = []byte(strings.Replace(string(files["site.yaml"].Data), "home:", "hom:", 1))
	_, err := Load(files)
	const want = "guide.yaml:4:12: program name \"Own\"; must begin with a small letter, and have at most 64 small letters, digits and hyphens\n" +
		"notice: the portal reads no such entry of its content folder; did you mean \"notices\"? entries: site.yaml, notices, pages, guide.yaml\n" +
		"notices/a.ja.md: the file has no front matter; begin it with a line ---, then apiVersion: op25b/v1, kind: Notice and the other keys, and end them with a line ---\n" +
		"pages/none.ja.md: the portal has no such text; texts: questions.ja.md, questions.en.md, business.ja.md, business.en.md, publication.ja.md, publication.en.md\n" +
		"readme.txt: the portal reads no such entry of its content folder; entries: site.yaml, notices, pages, guide.yaml\n" +
		"site.yaml:9:1: unknown key \"hom\"; did you mean \"home\"? known keys: apiVersion, kind, name, url, home, support, business, abuse, security, trustedProxies, mail, names"
	for _, kind := range []error{ErrContent, strict.ErrDecode, article.ErrArticle} {
		if !errors.Is(err, kind) {
			t.Errorf("the error is not %v", kind)
		}
	}
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// TestLinksToNotices verifies that a text that replaces one of the portal's may link to a notice, and that the place of a wrong link is reported.
func TestLinksToNotices(t *testing.T) {
	text := func(to string) map[string]string {
		return map[string]string{
			"pages/business.en.md": "---\napiVersion: op25b/v1\nkind: Page\ntitle: a\n---\nSee [it](page:notices/" + to + ").\n",
			"notices/a.en.md":      "---\napiVersion: op25b/v1\nkind: Notice\ndate: 2026-01-01\nlanguage: en\ntitle: a\n---\nText\n",
		}
	}
	if _, err := Load(onlySite(t, text("a"))); err != nil {
		t.Error(err)
	}
	const want = `pages/business.en.md:6:5: unknown page "notices/b" in a link; did you mean "notices/a"? pages: home, check, test, `
	if _, err := Load(onlySite(t, text("b"))); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

func TestBadFolders(t *testing.T) {
	large := onlySite(t, nil)
	large["site.yaml"].Data = append(large["site.yaml"].Data, strings.Repeat("#", site.MaxFile)...)
	many := onlySite(t, nil)
	for _, l := range strings.Repeat("abcdefghij", 7) {
		many[strings.Repeat(string(l), len(many))] = &fstest.MapFile{}
	}
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		kind  error
		want  string
	}{
		{"no site file", fstest.MapFS{"guide.yaml": {Data: []byte(guideYAML)}}, ErrContent, "site.yaml: the content folder has no site file; write one, beginning with apiVersion: op25b/v1 and kind: Site"},
		{"large site file", large, folder.ErrBound, "content cannot be read: site.yaml has more than 65536 bytes: shorten or divide it"},
		{"large notice", onlySite(t, map[string]string{"notices/a.ja.md": strings.Repeat("a", notice.MaxFile+1)}), folder.ErrBound, "notices: content cannot be read: a.ja.md has more than 65536 bytes: shorten or divide it"},
		{"many entries", many, folder.ErrBound, "content cannot be read: the folder has more than 64 files: move old ones elsewhere"},
		{"notices is a file", onlySite(t, map[string]string{"notices": ""}), nil, "notices: "},
	} {
		if _, err := Load(c.files); err == nil || c.kind != nil && !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant\n%s", c.name, err, c.want)
		}
	}
}

// TestOnDisk verifies that a folder on disk whose files are symbolic links, as in a ConfigMap, is read like any other.
func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "..data"), examples.Portal()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"site.yaml", "notices"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(os.DirFS(dir)); err != nil {
		t.Error(err)
	}
}
