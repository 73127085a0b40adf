package notice

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
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
	"op25b/internal/strict"
)

var words = markdown.Vocabulary{Texts: []string{"isp"}, Blocks: []string{"programme"}, Pages: []string{"check", "programme", "notices", "settings", "questions"}}

const head = "---\napiVersion: op25b/v1\nkind: Notice\n"

// good is a notice without faults, which has the lines 1 to 11.
const good = head + `date: 2006-05-18
revised: 2021-09-28
end: 2021-10-31
language: ja
title: "{迷惑|めいわく}メール"
groups: [adsl, isdn]
---
本文は[こちら](page:check)です。
`

func parse(name, text string) (*Notice, error) {
	return Parse(strict.File{Name: name, Data: []byte(text)}, words)
}

func TestParse(t *testing.T) {
	for name, text := range map[string]string{"as written": good, "CRLF": strings.ReplaceAll(good, "\n", "\r\n"), "byte order mark": "\ufeff" + good} {
		n, err := parse("2006-05-18-port25.ja.md", text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.ID != "2006-05-18-port25" || n.Language != lang.Japanese || n.Title.Plain() != "迷惑メール" || n.Date.String() != "2006-05-18" || n.Changed().String() != "2021-09-28" ||
			n.End.String() != "2021-10-31" || !cmp.Equal(n.Groups, []string{"adsl", "isdn"}) {
			t.Errorf("%s: %+v", name, n)
		}
		html, err := n.Render(markdown.Values{Page: map[string]string{"check": "/check"}})
		if want := "<p>本文は<a href=\"/check\">こちら</a>です。</p>\n"; err != nil || string(html) != want {
			t.Errorf("%s: %q, %v", name, html, err)
		}
	}
}

func TestBad(t *testing.T) {
	const file = "a.ja.md"
	for _, c := range []struct {
		name           string
		kind           error
		old, new, want string
	}{
		{"notice.md", ErrNotice, "", "", "notice.md: this is not the name of a notice; must be ID.ja.md or ID.en.md, with at most 64 small letters, digits and hyphens as its ID, such as 2006-05-18-port25.ja.md"},
		{"Notice.ja.md", ErrNotice, "", "", "Notice.ja.md: this is not the name of a notice"},
		{"a.de.md", ErrNotice, "", "", "a.de.md: this is not the name of a notice"},
		{file, markdown.ErrMarkdown, "---\napi", "api", "a.ja.md: the file has no front matter; begin it with a line ---, then apiVersion: op25b/v1, kind: Notice and the other keys, and end them with a line ---"},
		{file, markdown.ErrMarkdown, "]\n---\n", "]\n", "a.ja.md: the file has no front matter"},
		{file, strict.ErrDecode, "kind: Notice", "kind: Site", `a.ja.md:3:7: unknown kind "Site"; known: Notice`},
		{file, strict.ErrDecode, "revised:", "revise:", `a.ja.md:5:1: unknown key "revise"; did you mean "revised"? known keys: apiVersion, kind, date, revised, end, language, title, groups`},
		{file, strict.ErrDecode, "date: 2006-05-18", "date: 2006-02-30", `a.ja.md:4:7: date is "2006-02-30"; it must be a date such as 2006-10-01`},
		{file, strict.ErrDecode, "language: ja", "language: jp", `a.ja.md:7:11: language is "jp"; it must be ja or en`},
		{file, strict.ErrDecode, `title: "{迷惑|めいわく}メール"`, "title: {迷惑|めいわく}", `a.ja.md:8:8: title is a mapping; it must be one line of at most 200 characters, with ruby as in {漢字|かんじ}: put it in quotes if it begins with a brace`},
		{file, strict.ErrDecode, "{迷惑|めいわく}", "{迷惑}", `a.ja.md:8:8: title is "{迷惑}メール"; it must be one line of at most 200 characters, with ruby as in {漢字|かんじ}`},
		{file, ErrNotice, "language: ja", "language: en", "a.ja.md:7:11: language is en in a file whose name says ja; rename the file, or correct the language"},
		{file, ErrNotice, "revised: 2021", "revised: 2005", "a.ja.md:5:10: revised is 2005-09-28, before the date 2006-05-18; must be that day or a later one"},
		{file, ErrNotice, "end: 2021", "end: 2005", "a.ja.md:6:6: end is 2005-10-31, before the date 2006-05-18; must be that day or a later one"},
		{file, ErrNotice, "isdn", "adsl", `a.ja.md:9:16: group "adsl" is given twice; keep one`},
		{file, ErrNotice, "isdn", "I S D N", `a.ja.md:9:16: group "I S D N" is not a name; must be the name of a line group of the policy, such as adsl`},
		{file, ErrNotice, "adsl, ", strings.Repeat("a, ", 256), "a.ja.md:9:9: the notice has 257 groups; must be at most 256, or leave the key out if the notice concerns every line"},
		{file, markdown.ErrMarkdown, "本文は", "本文は<b>", `a.ja.md:11:4: the text has raw HTML; write Markdown, or \< for the sign itself`},
		{file, markdown.ErrMarkdown, "page:check", "page:chek", `a.ja.md:11:4: unknown page "chek" in a link; did you mean "check"?`},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("the notice has no %q", c.old)
		}
		_, err := parse(c.name, strings.Replace(good, c.old, c.new, 1))
		if !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s, %q -> %.40q:\n%v\nwant\n%s", c.name, c.old, c.new, err, c.want)
		}
	}
}

// folderOf returns a folder of notices. Each argument is ID.LANGUAGE=DATE or ID.LANGUAGE=DATE/END.
func folderOf(notices ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for _, n := range notices {
		name, days, _ := strings.Cut(n, "=")
		date, end, has := strings.Cut(days, "/")
		text := head + "date: " + date + "\nlanguage: " + name[len(name)-2:] + "\ntitle: " + n + "\n"
		if has {
			text += "end: " + end + "\n"
		}
		files[name+".md"] = &fstest.MapFile{Data: []byte(text + "---\ntext\n")}
	}
	return files
}

func day(t *testing.T, text string) policy.Date {
	t.Helper()
	d, err := policy.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func titles(list []*Notice) string {
	var all []string
	for _, n := range list {
		all = append(all, n.ID+"."+string(n.Language))
	}
	return strings.Join(all, " ")
}

func TestBook(t *testing.T) {
	b, err := Load(folderOf("old.ja=2006-05-18/2006-12-31", "old.en=2006-05-18/2006-12-31", "b-same.ja=2021-09-28", "a-same.ja=2021-09-28", "english.en=2022-01-01", "future.ja=2027-01-01"), words)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		today         string
		l             lang.Language
		current, back string
	}{
		{"2006-05-17", lang.Japanese, "", ""},
		{"2006-05-18", lang.Japanese, "old.ja", ""},
		{"2006-12-31", lang.English, "old.en", ""},
		{"2007-01-01", lang.English, "", "old.en"},
		{"2026-12-31", lang.Japanese, "english.en a-same.ja b-same.ja", "old.ja"},
		{"2026-12-31", lang.English, "english.en a-same.ja b-same.ja", "old.en"},
		{"2027-01-01", lang.English, "future.ja english.en a-same.ja b-same.ja", "old.en"},
	} {
		if got := titles(b.Current(c.l, day(t, c.today))); got != c.current {
			t.Errorf("%s: current %q, want %q", c.today, got, c.current)
		}
		if got := titles(b.Back(c.l, day(t, c.today))); got != c.back {
			t.Errorf("%s: back numbers %q, want %q", c.today, got, c.back)
		}
	}
	for _, c := range []struct {
		id, today string
		l         lang.Language
		want      lang.Language
	}{
		{"old", "2026-01-01", lang.English, lang.English},
		{"english", "2026-01-01", lang.Japanese, lang.English},
		{"future", "2026-12-31", lang.Japanese, ""},
		{"none", "2026-12-31", lang.Japanese, ""},
	} {
		n, ok := b.Find(c.id, c.l, day(t, c.today))
		if ok != (c.want != "") || ok && n.Language != c.want {
			t.Errorf("%s on %s: %v, %v", c.id, c.today, n, ok)
		}
	}
	var none Book
	if list := none.Current(lang.English, day(t, "2026-01-01")); len(list) != 0 {
		t.Errorf("the zero Book has %v", list)
	}
	if _, ok := none.Find("a", lang.English, day(t, "2026-01-01")); ok {
		t.Error("the zero Book has a notice")
	}
}

func TestBadFolders(t *testing.T) {
	many := fstest.MapFS{}
	for i := range MaxFiles + 1 {
		many[fmt.Sprintf("n%d.ja.md", i)] = &fstest.MapFile{}
	}
	large, heavy := folderOf("a.ja=2006-05-18"), fstest.MapFS{}
	large["a.ja.md"].Data = append(large["a.ja.md"].Data, strings.Repeat("a", MaxFile)...)
	for i := range MaxBytes/60_000 + 1 {
		heavy[fmt.Sprintf("n%d.ja.md", i)] = &fstest.MapFile{Data: []byte(head + "date: 2006-05-18\nlanguage: ja\ntitle: a\n---\n" + strings.Repeat("a", 60_000))}
	}
	other := folderOf("a.ja=2006-05-18", "a.en=2006-05-19")
	groups := folderOf("a.ja=2006-05-18", "a.en=2006-05-18")
	groups["a.en.md"].Data = []byte(strings.Replace(string(groups["a.en.md"].Data), "language", "groups: [adsl]\nlanguage", 1))
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		kind  error
		want  string
	}{
		{"too many", many, folder.ErrBound, "notices: content cannot be read: the folder has more than 1040 files: move old ones elsewhere"},
		{"too large", large, folder.ErrBound, "notices: content cannot be read: a.ja.md has more than 65536 bytes: shorten or divide it"},
		{"too large together", heavy, folder.ErrBound, "notices: content cannot be read: the files have more than 16777216 bytes together: move old ones elsewhere"},
		{"another date", other, ErrNotice, "a.ja.md: the key date is not as in a.en.md; a notice has the same date, end and groups in every language"},
		{"another end", folderOf("a.ja=2006-05-18", "a.en=2006-05-18/2006-06-01"), ErrNotice, "a.ja.md: the key end is not as in a.en.md; a notice has the same date, end and groups in every language"},
		{"other groups", groups, ErrNotice, "a.ja.md: the key groups is not as in a.en.md; a notice has the same date, end and groups in every language"},
		{"two faults", folderOf("a.ja=2006", "b.ja=2007"), strict.ErrDecode, "a.ja.md:4:7: date is the number 2006; it must be a date such as 2006-10-01: put it in quotes if it is meant\nb.ja.md:4:7: date is the number 2007; it must be a date such as 2006-10-01: put it in quotes if it is meant"},
	} {
		if _, err := Load(c.files, words); !errors.Is(err, c.kind) || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// TestExample verifies that the shipped notices are valid, exist in both languages, and that the dates of the first one are those of the
// policy that the example is for.
func TestExample(t *testing.T) {
	notices, err := fs.Sub(examples.Portal(), "notices")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load(notices, words)
	if err != nil {
		t.Fatal(err)
	}
	intent, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	const today = "2026-11-29"
	for _, l := range lang.All() {
		now, past := b.Current(l, day(t, today)), b.Back(l, day(t, today))
		if titles(now) != "2026-05-01-sim."+string(l) || len(past) != 3 {
			t.Errorf("current %s, past %s", titles(now), titles(past))
		}
		list := slices.Concat(now, past)
		for _, n := range list {
			if n.Language != l {
				t.Errorf("notice %s is not in %s", n.ID, l)
			}
			html, err := n.Render(markdown.Values{Page: map[string]string{"check": "c", "programme": "p", "notices": "n", "settings": "s", "questions": "q", "notices/2021-09-28-encryption": "e"}, Block: map[string]template.HTML{"programme": ""}})
			if err != nil {
				t.Error(err)
			}
			if n.ID != "2006-05-18-port25" {
				continue
			}
			for _, ph := range intent.Policy.Phases[1:] { // the first phase stops nothing
				want := fmt.Sprintf("%d年%d月%d日から", ph.Effective.Year, ph.Effective.Month, ph.Effective.Day)
				if l == lang.English {
					want = fmt.Sprintf("from %d %v %d", ph.Effective.Day, ph.Effective.Month, ph.Effective.Year)
				}
				if !strings.Contains(string(html), want) {
					t.Errorf("the notice in %s lacks %q", l, want)
				}
			}
			for _, g := range n.Groups {
				if !slices.Contains(policy.Names(intent.Policy.LineGroups), g) {
					t.Errorf("notice %s is for the group %q, which the policy does not have", n.ID, g)
				}
			}
		}
	}
}

// TestLinksToNotices verifies that a notice may link to the notices of its folder, and that any other link is refused with its place.
func TestLinksToNotices(t *testing.T) {
	folder := func(to string) fstest.MapFS {
		text := strings.Replace(good, "page:check", "page:notices/"+to, 1)
		return fstest.MapFS{"a.ja.md": {Data: []byte(text)}, "b.en.md": {Data: []byte(strings.Replace(good, "language: ja", "language: en", 1))}}
	}
	if _, err := Load(folder("b"), words); err != nil {
		t.Error(err)
	}
	const want = `a.ja.md:11:4: unknown page "notices/c" in a link; did you mean "notices/a"? pages: check, programme, notices, settings, questions, notices/a, notices/b`
	if _, err := Load(folder("c"), words); !errors.Is(err, markdown.ErrMarkdown) || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// FuzzParse verifies that a notice is either refused with a message, or rendered.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add(strings.ReplaceAll(good, "\n", "\r\n"))
	f.Add("---\n---\n")
	f.Add("---")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parse("a.ja.md", text)
		if (n == nil) == (err == nil) {
			t.Fatalf("%v and %v, want one of them", n, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		if _, err := n.Render(markdown.Values{Text: map[string]string{"isp": ""}, Page: map[string]string{"check": "", "programme": "", "notices": "", "settings": "", "questions": ""}, Block: map[string]template.HTML{"programme": ""}}); err != nil {
			t.Fatal(err)
		}
	})
}
