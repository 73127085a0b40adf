package guide

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"op25b/internal/lang"
	"op25b/internal/portal/markdown"
	"op25b/internal/portal/site"
	"op25b/internal/strict"
)

// TestDefault verifies that the default guide has each kind of program in both languages, that every setting appears in its steps, and that
// it names no menu without a page that somebody read.
func TestDefault(t *testing.T) {
	g := Default()
	for _, name := range []string{"outlook-new", "outlook-classic", "windows-mail", "thunderbird", "apple-mail", "iphone", "android-gmail", "printer", "other"} {
		if _, ok := g.Find(name); !ok {
			t.Errorf("no program %s", name)
		}
	}
	if _, ok := g.Find("none"); ok {
		t.Error("there is a program none")
	}
	for i := range g.Programs {
		p := &g.Programs[i]
		for _, l := range lang.All() {
			for _, s := range []Setting{{Host: "smtp.isp.example", Port: 4651, TLS: site.Implicit}, {Host: "smtp.isp.example", Port: 5871, TLS: site.StartTLS}} {
				steps := p.Steps(l, s)
				all := ""
				for _, step := range steps {
					all += string(step) + "\n"
				}
				encryption := map[site.TLS]string{site.Implicit: "SSL/TLS", site.StartTLS: "STARTTLS"}[s.TLS]
				for _, want := range []string{s.Host, fmt.Sprint(s.Port), encryption} {
					if !strings.Contains(all, want) {
						t.Errorf("%s in %s does not say %s:\n%s", p.Name, l, want, all)
					}
				}
				if strings.Contains(all, "<strong>") == p.Source(l).Looked.IsZero() {
					t.Errorf("%s in %s: names of menus stand in bold exactly if a page was read:\n%s", p.Name, l, all)
				}
				if digits := regexp.MustCompile("[0-9]+").FindAllString(strings.ReplaceAll(all, "OAuth2", ""), -1); slices.ContainsFunc(digits, func(d string) bool { return d != fmt.Sprint(s.Port) }) {
					t.Errorf("%s in %s has numbers that are not of the setting, %v:\n%s", p.Name, l, digits, all)
				}
			}
		}
	}
	p, _ := g.Find("other")
	if steps := p.Steps(lang.English, Setting{Port: 465, TLS: site.Implicit}); !strings.Contains(string(steps[1]), "the outgoing server that your provider or your company gave you") {
		t.Errorf("no host: %s", steps[1])
	}
}

// TestSignIn verifies that the steps of every program say what the provider says about signing in, and that those of a printer name the second port.
func TestSignIn(t *testing.T) {
	g := Default()
	for l, note := range map[lang.Language]string{lang.English: "the password is an <app> password.", lang.Japanese: "アプリパスワードをご使用ください。"} {
		want := map[lang.Language]string{lang.English: "password. The password is an &lt;app&gt; password.", lang.Japanese: note}[l]
		for i := range g.Programs {
			p := &g.Programs[i]
			s := Setting{Host: "smtp.isp.example", Port: 465, TLS: site.Implicit, Note: note, Second: &Setting{Port: 587, TLS: site.StartTLS}}
			all := fmt.Sprint(p.Steps(l, s))
			if strings.Count(all, want) != 1 || strings.Contains(all, signIn.In(l)) {
				t.Errorf("%s in %s says not once what the provider says:\n%s", p.Name, l, all)
			}
			if second := regexp.MustCompile("587.*STARTTLS").MatchString(all); second != (p.Name == "printer" || p.Name == "other") {
				t.Errorf("%s in %s names a second port: %v\n%s", p.Name, l, second, all)
			}
			s.Note, s.Second = "", nil
			if all = fmt.Sprint(p.Steps(l, s)); strings.Count(all, signIn.In(l)) != 1 || strings.Contains(all, "587") {
				t.Errorf("%s in %s without a note and a second port:\n%s", p.Name, l, all)
			}
		}
	}
}

// TestNamesAreEscaped verifies that a host of the directory cannot bring markup into a page.
func TestNamesAreEscaped(t *testing.T) {
	p, _ := Default().Find("other")
	for _, step := range p.Steps(lang.English, Setting{Host: "<script>", Port: 587}) {
		if strings.Contains(string(step), "<script>") {
			t.Error(step)
		}
	}
}

func TestBad(t *testing.T) {
	const good = "apiVersion: op25b/v1\nkind: Guide\nprograms:\n  - name: a\n    title: {ja: a, en: b}\n    sources:\n      ja: {published: \"https://a.example/\", looked: 2026-11-29}\n    steps:\n      ja: [\"{{host}}\"]\n      en: [b, c]\n"
	for _, c := range []struct {
		kind           error
		old, new, want string
	}{
		{strict.ErrDecode, "name: a", "nam: a", `g.yaml:4:5: unknown key "nam"; did you mean "name"? known keys: name, title, sources, steps` + "\n" + `g.yaml:4:5: programs[0] has no "name"; it must be text`},
		{strict.ErrDecode, ", looked: 2026-11-29", "", `g.yaml:7:11: programs[0].sources.ja has no "looked"; it must be a date such as 2006-10-01`},
		{ErrGuide, "name: a", "name: A", `g.yaml:4:11: program name "A"; must begin with a small letter, and have at most 64 small letters, digits and hyphens`},
		{ErrGuide, "  - name: a", "  - {name: a, title: {ja: a, en: b}, steps: {ja: [a], en: [b]}}\n  - name: a", `g.yaml:5:11: program name "a" is given twice; give each its own`},
		{ErrGuide, "en: b}", `en: ""}`, `g.yaml:5:24: programs[0].title.en is ""; must be 1 to 100 characters on one line`},
		{ErrGuide, "https://a.example/", "http://a.example/", `g.yaml:7:23: programs[0].sources.ja.published is "http://a.example/"; must be the https address of a page of the vendor's, or leave the source out`},
		{ErrGuide, "[b, c]", "[]", `g.yaml:10:11: programs[0].steps.en has 0 steps; must be 1 to 20`},
		{ErrGuide, "[b, c]", `[b, "c\n\nd"]`, `g.yaml:10:15: a step is not a single paragraph; write one step an item, without lists, headings and empty lines`},
		{ErrGuide, "[b, c]", `[b, "- c"]`, `g.yaml:10:15: a step is not a single paragraph`},
		{markdown.ErrMarkdown, "[b, c]", `[b, "{{hots}}"]`, `g.yaml:10:15: unknown value {{hots}}; did you mean "host"? values: host, port, encryption, signin, second`},
		{markdown.ErrMarkdown, "[b, c]", `[b, "<b>"]`, `g.yaml:10:15: the text has raw HTML`},
		{ErrGuide, good[strings.Index(good, "programs:"):], "programs: []\n", `g.yaml:3:11: the guide has 0 programs; must be 1 to 64`},
		{ErrGuide, "programs:", strings.Repeat("# a comment\n", 30_000) + "programs:", `g.yaml: the file has 360209 bytes; must be at most 262144`},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("the guide has no %q", c.old)
		}
		_, err := Load(strict.File{Name: "g.yaml", Data: []byte(strings.Replace(good, c.old, c.new, 1))})
		if !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.40q -> %.40q:\n%v\nwant\n%s", c.old, c.new, err, c.want)
		}
	}
	if _, err := Load(strict.File{Name: "g.yaml", Data: []byte(good)}); err != nil {
		t.Error(err)
	}
}
