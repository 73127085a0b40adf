package article

import (
	"errors"
	"html/template"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"op25b/examples"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/folder"
	"op25b/internal/portal/markdown"
	"op25b/internal/portal/site"
	"op25b/internal/strict"
)

// example returns what the texts are made of, for the example's ISP. Each page has the address /NAME.
func example(t *testing.T) Given {
	t.Helper()
	data, err := fs.ReadFile(examples.Portal(), "site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Load(strict.File{Name: "site.yaml", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	g := Given{Site: s, Programme: "<p>PROGRAMME</p>", Domains: "<p>DOMAINS</p>", Pages: map[string]string{}}
	for _, name := range Pages() {
		g.Pages[name] = "/" + name
	}
	return g
}

func render(t *testing.T, s *Set, name string, l lang.Language, g Given) string {
	t.Helper()
	a, ok := s.Find(name, l)
	if !ok {
		t.Fatalf("there is no text %s in %s", name, l)
	}
	html, err := a.Render(g.Values(l))
	if err != nil {
		t.Fatal(err)
	}
	return string(html)
}

// TestDefaults verifies that every text exists in both languages with the same headings, and is rendered.
func TestDefaults(t *testing.T) {
	s, err := Load(nil, Words())
	if err != nil {
		t.Fatal(err)
	}
	g := example(t)
	for _, name := range Names() {
		var ids [2][]string
		for i, l := range lang.All() {
			a, _ := s.Find(name, l)
			for _, h := range a.Headings() {
				ids[i] = append(ids[i], h.ID)
			}
			if html := render(t, s, name, l, g); strings.Count(html, "<h2") != len(ids[i]) {
				t.Errorf("%s in %s: %d headings, %d with an id", name, l, strings.Count(html, "<h2"), len(ids[i]))
			}
		}
		if diff := cmp.Diff(ids[0], ids[1]); diff != "" || len(ids[0]) == 0 {
			t.Errorf("%s: ids of headings, -%s +%s:\n%s", name, lang.All()[0], lang.All()[1], diff)
		}
	}
	if _, ok := s.Find("none", lang.English); ok {
		t.Error("there is a text none")
	}
}

// TestRows verifies that the texts answer what the two notices ask for: S7 (encryption and authentication required from a day on), S8 and
// S12 (questions and answers), S9 (mobile lines, webmail and apps), S10 (the group's domains) and S11 (the submission port).
func TestRows(t *testing.T) {
	s, err := Load(nil, Words())
	if err != nil {
		t.Fatal(err)
	}
	g := example(t)
	ja, en := render(t, s, Questions, lang.Japanese, g), render(t, s, Questions, lang.English, g)
	for _, id := range []string{"what", "why", "affected", "submission", "webmail", "apps", "mobile", "own-server", "fixed-address", "printer", "recorded", "secrecy", "pop-before-smtp", "encryption"} {
		if !strings.Contains(ja, `id="`+id+`"`) {
			t.Errorf("no question %s", id)
		}
	}
	for _, want := range []string{"<p>PROGRAMME</p>", "<p>DOMAINS</p>", "<td>smtp.isp.example</td><td>465</td><td>SSL/TLS</td>", "<td>587</td><td>STARTTLS</td>", `href="tel:0120000000"`, `href="mailto:support@isp.example"`, `href="/check"`, "587"} {
		if !strings.Contains(ja, want) || !strings.Contains(en, want) {
			t.Errorf("the questions lack %s", want)
		}
	}
	if !strings.Contains(ja, "2022年8月1日から") || !strings.Contains(en, "Since 1 August 2022") {
		t.Error("the day from which encryption is required is missing")
	}
	if html := render(t, s, Business, lang.English, g); !strings.Contains(html, "Business desk") {
		t.Error("the page for businesses does not say whom to ask")
	}
}

// TestNothingIsTyped verifies that the sources of the texts have no number or domain: they come from data. OP25B and its long form are
// names.
func TestNothingIsTyped(t *testing.T) {
	files, err := fs.Glob(defaults, "pages/*.md")
	if err != nil || len(files) != len(Names())*len(lang.All()) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	names := regexp.MustCompile(`OP25B|Outbound Port 25 Blocking|25番ポートブロック|op25b/v1|\{#[a-z0-9-]+\}`)
	for _, path := range files {
		data, err := fs.ReadFile(defaults, path)
		if err != nil {
			t.Fatal(err)
		}
		text := names.ReplaceAllString(string(data), "")
		if typed := regexp.MustCompile(`[0-9]+|[a-z0-9-]+\.(com|net|org|jp|example)\b`).FindAllString(text, -1); typed != nil {
			t.Errorf("%s has %q", path, typed)
		}
	}
}

// TestOwn verifies that a file of the ISP's replaces a text in its language, and no other.
func TestOwn(t *testing.T) {
	own := fstest.MapFS{"business.ja.md": {Data: []byte("---\napiVersion: op25b/v1\nkind: Page\ntitle: \"{法人|ほうじん}\"\n---\n{{isp}}の[窓口](page:business#contact)\n")}}
	s, err := Load(own, Words())
	if err != nil {
		t.Fatal(err)
	}
	g := example(t)
	if got, want := render(t, s, Business, lang.Japanese, g), "<p>エグザンプルネットの<a href=\"/business#contact\">窓口</a></p>\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if a, _ := s.Find(Business, lang.Japanese); a.Title.Plain() != "法人" {
		t.Errorf("title %q", a.Title.Plain())
	}
	if got := render(t, s, Business, lang.English, g); !strings.Contains(got, "Business desk") {
		t.Error("the English text is not the default")
	}
}

func TestBadFolders(t *testing.T) {
	page := func(text string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("---\napiVersion: op25b/v1\nkind: Page\ntitle: a\n---\n" + text)}
	}
	many := fstest.MapFS{}
	for _, l := range "abcdefghijklm" {
		many[string(l)] = page("")
	}
	for _, c := range []struct {
		name string
		own  fs.FS
		kind error
		want string
	}{
		{"unknown text", fstest.MapFS{"question.ja.md": page("a")}, ErrArticle, `question.ja.md: the portal has no such text; did you mean "questions.ja.md"? texts: questions.ja.md, questions.en.md, business.ja.md, business.en.md, publication.ja.md, publication.en.md`},
		{"no front matter", fstest.MapFS{"business.en.md": {Data: []byte("a")}}, markdown.ErrMarkdown, "business.en.md: the file has no front matter; begin it with a line ---, then apiVersion: op25b/v1, kind: Page and the other keys, and end them with a line ---"},
		{"unknown key", fstest.MapFS{"business.en.md": {Data: []byte("---\napiVersion: op25b/v1\nkind: Page\ntitel: a\n---\n")}}, strict.ErrDecode, "business.en.md:2:1: the document has no \"title\"; it must be one line of at most 200 characters, with ruby as in {漢字|かんじ}: put it in quotes if it begins with a brace\nbusiness.en.md:4:1: unknown key \"titel\"; did you mean \"title\"? known keys: apiVersion, kind, title"},
		{"unknown value", fstest.MapFS{"business.en.md": page("{{progamme}}")}, markdown.ErrMarkdown, `business.en.md:6:1: unknown value {{progamme}}; did you mean "programme"? values: isp, port.smtp, port.submission, port.submissions, programme, domains, support, business, abuse, servers, encryption`},
		{"large", fstest.MapFS{"business.en.md": page(strings.Repeat("a", markdown.MaxSource))}, folder.ErrBound, "pages: content cannot be read: business.en.md has more than 65536 bytes: shorten or divide it"},
		{"many", many, folder.ErrBound, "pages: content cannot be read: the folder has more than 12 files: move old ones elsewhere"},
	} {
		if _, err := Load(c.own, Words()); !errors.Is(err, c.kind) || err.Error() != c.want {
			t.Errorf("%s: %v\nwant\n%s", c.name, err, c.want)
		}
	}
}

// TestValues verifies that a Given has a value for every name in Words, that the site file's texts are escaped, and what is said if the ISP
// gives no day for encryption and no contact for abuse.
func TestValues(t *testing.T) {
	g := example(t)
	g.Site.Name.EN, g.Site.Support.Title.EN = "<A&B>", "<i>"
	g.Site.Support.Mail = "a?b&c@isp.example"
	g.Site.Abuse = site.Contact{}
	for _, l := range lang.All() {
		v := g.Values(l)
		for _, name := range Words().Texts {
			if v.Text[name] == "" {
				t.Errorf("no value for %s", name)
			}
		}
		for _, name := range Words().Blocks {
			if _, ok := v.Block[name]; !ok {
				t.Errorf("no block for %s", name)
			}
		}
		for _, name := range Words().Pages {
			if v.Page[name] == "" {
				t.Errorf("no page %s", name)
			}
		}
		if v.Block["abuse"] != "" {
			t.Errorf("no contact is %q", v.Block["abuse"])
		}
	}
	for l, want := range map[lang.Language]string{lang.Japanese: "465番をおすすめします。</p>", lang.English: "We recommend port 465.</p>"} {
		if got := string(g.Values(l).Block["servers"]); !strings.HasSuffix(got, want) {
			t.Errorf("two ports: %s", got)
		}
	}
	support := string(g.Values(lang.English).Block["support"])
	if strings.Contains(support, "<i>") || !strings.Contains(support, "&lt;i&gt;") || !strings.Contains(support, `href="mailto:a%3Fb&amp;c@isp.example"`) {
		t.Errorf("not escaped: %s", support)
	}
	g.Site.Mail.EncryptionSince = policy.Date{}
	for l, want := range map[lang.Language]template.HTML{lang.Japanese: "<p>当社のメールサーバーは、暗号化（SSL/TLS）と認証に対応しています。", lang.English: "<p>Our mail servers offer encryption"} {
		if got := g.Values(l).Block["encryption"]; !strings.HasPrefix(string(got), string(want)) {
			t.Errorf("%s: %s", l, got)
		}
	}
}

// TestDocumented verifies that the page for authors describes every value, page and text.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/portal-content.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(Words().Texts, Words().Blocks) {
		if !strings.Contains(string(page), "`{{"+name+"}}`") {
			t.Errorf("the value %s is not described", name)
		}
	}
	for _, name := range slices.Concat(Pages(), Names()) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("the page %s is not described", name)
		}
	}
}
