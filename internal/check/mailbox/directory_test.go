package mailbox

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"op25b/internal/lang"
	"op25b/internal/strict"
)

// TestOwnDomains verifies that the built-in directory contains every mail domain of the ISP's
// group.
func TestOwnDomains(t *testing.T) {
	d := shipped(t)
	for _, domain := range []string{
		"tnc.ne.jp", "tokai.or.jp", "t-com.ne.jp", "wbs.ne.jp", "ayu.ne.jp", "across.or.jp", "thn.ne.jp", "s-cnet.ne.jp", "dws.ne.jp",
	} {
		if p, under := find(d.byDomain, domain); p == nil || p.Kind != KindOwn || under != domain {
			t.Errorf("%s is of %+v", domain, p)
		}
	}
	if p, _ := find(d.byDomain, "nottnc.ne.jp"); p != nil {
		t.Errorf("nottnc.ne.jp is %s's", p.Name)
	}
}

// TestProvenance verifies that every built-in entry that was compared with a page names that page.
func TestProvenance(t *testing.T) {
	for _, p := range shipped(t).Providers {
		if p.Published == "" && !p.Looked.IsZero() {
			t.Errorf("%s was compared on %s, but names no page", p.Name, p.Looked)
		}
		for _, page := range []string{p.Published, p.Help} {
			if u, err := url.Parse(page); page != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
				t.Errorf("%s: %q is not the address of a page", p.Name, page)
			}
		}
		if strings.Contains(p.Published, "developers.") && p.Help == "" {
			t.Errorf("%s sends customers to a page for developers: %s", p.Name, p.Published)
		}
	}
}

// TestTexts verifies that every built-in provider has a title that no other one has, that no English text has Japanese letters, and that every
// Japanese note has some. That each text is in both languages is verified by Load.
func TestTexts(t *testing.T) {
	japanese := regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}]`)
	notes := 0
	titles := map[string]string{}
	for _, p := range shipped(t).Providers {
		if p.Title.IsZero() {
			t.Errorf("%s has no title", p.Name)
		}
		for _, title := range []string{"ja " + p.Title.JA, "en " + p.Title.EN} {
			if other := titles[title]; other != "" {
				t.Errorf("%s and %s have the same title: %s", other, p.Name, title)
			}
			titles[title] = p.Name
		}
		note := p.Submission.Note
		for _, text := range []lang.Text{p.Title, note} {
			if japanese.MatchString(text.EN) {
				t.Errorf("%s: %q is not English", p.Name, text.EN)
			}
		}
		if !note.IsZero() {
			notes++
			if !japanese.MatchString(note.JA) {
				t.Errorf("%s: %q is not Japanese", p.Name, note.JA)
			}
		}
	}
	if notes == 0 {
		t.Error("no provider has a note")
	}
}

// TestEncoded verifies that the built-in directory can be written and read again, with the entries whose texts are absent.
func TestEncoded(t *testing.T) {
	d := shipped(t)
	data, err := strict.Encode(Kind, d)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(strict.File{Name: "p.yaml", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Providers, d.Providers) {
		t.Error("the providers differ")
	}
}

// TestExtent verifies that the built-in directory has at least 60 providers besides the ISP's group, and that the documentation states how many
// there are and how many of them were compared with a page.
func TestExtent(t *testing.T) {
	providers, looked := 0, 0
	for _, p := range shipped(t).Providers {
		if p.Kind != KindOwn {
			providers++
		}
		if !p.Looked.IsZero() {
			looked++
		}
	}
	if providers < 60 {
		t.Errorf("%d providers, want 60", providers)
	}
	page, err := os.ReadFile("../../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	for _, want := range []string{
		fmt.Sprintf("the ISP group's own mailboxes and %d providers.", providers), fmt.Sprintf("web page, which is so for %d providers.", looked),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/check.md does not say %q", want)
		}
	}
}

func TestBadDirectories(t *testing.T) {
	const header = "apiVersion: op25b/v1\nkind: Providers\nproviders:\n"
	good := "  - {name: a, kind: provider, domains: [a.jp], submission: {host: smtp.a.jp, ports: [{port: 587, tls: starttls}]}}\n"
	for text, want := range map[string]string{
		good + good: "p.yaml:5:12: provider name \"a\" is empty or given twice; give each its own\np.yaml:5:41: domain \"a.jp\" is also in provider \"a\"; keep one",
		"  - {name: a, kind: web, domains: [a.jp], submission: {host: smtp.a.jp, ports: [{port: 587, tls: starttls}]}}\n": `p.yaml:4:21: unknown kind "web"; kinds: own, webmail, provider`,
		"  - {name: a, kind: own}\n":                        "p.yaml:4:5: provider \"a\" has neither domains nor mx; no mailbox would be found to be its: give domains, mx, or both",
		"  - {name: a, kind: provider, domains: [a.jp]}\n":  "p.yaml:4:5: provider \"a\" has no submission; there is nothing to tell its customers: give host and ports, or leave the provider out",
		"  - {name: a, kind: own, domains: [ne.jp]}\n":      "p.yaml:4:36: domain \"ne.jp\" is a registry's; everybody under it would be this provider's customer: give the provider's own",
		"  - {name: a, kind: own, domains: [jp]}\n":         "p.yaml:4:36: domain \"jp\" is a registry's; everybody under it would be this provider's customer: give the provider's own",
		"  - {name: a, kind: own, domains: [\"a b.jp\"]}\n": "p.yaml:4:36: domain \"a b.jp\": \"a b.jp\" is not a domain's name; give a name such as example.jp",
		"  - {name: a, kind: own, domains: [a.jp], submission: {host: smtp.a.jp, ports: [{port: 25, tls: none}]}}\n":                                         "p.yaml:4:88: port 25 is no submission port; it is the one that is closed: give 587 or 465\np.yaml:4:97: unknown encryption \"none\"; known: implicit, starttls",
		"  - {name: a, kind: own, domains: [a.jp], submission: {host: smtp.a.jp, ports: []}}\n":                                                              "p.yaml:4:80: submission of provider \"a\" has no ports; give one such as {port: 587, tls: starttls}",
		"  - {name: a, kind: own, domains: [a.jp], submission: {host: \"-\", ports: [{port: 587, tls: starttls}]}}\n":                                        "p.yaml:4:62: submission host \"-\": \"-\" is not a domain's name; give a name such as smtp.example.jp",
		"  - {name: a, kind: provider, mx: [a.jp], published: \"https://a.jp/\", submission: {host: smtp.a.jp, hostFrom: contract, ports: [{port: 587}]}}\n": "p.yaml:4:111: submission of provider \"a\" has both host and hostFrom; hostFrom is for a host that differs from customer to customer: keep one",
		"  - {name: a, kind: provider, mx: [a.jp], published: \"https://a.jp/\", submission: {hostFrom: page, ports: [{port: 587}]}}\n":                      `p.yaml:4:94: unknown place "page"; places: contract, domain`,
		"  - {name: a, kind: provider, mx: [a.jp], submission: {hostFrom: contract, ports: [{port: 587}]}}\n":                                                "p.yaml:4:66: provider \"a\" has hostFrom, but no page; the page tells the customer where the host is named: give published",
		"  - {name: a, kind: own, domains: [a.jp], title: A}\n":                                                                                              `p.yaml:4:50: providers[0].title is the text "A"; it must be a mapping with the keys ja, en`,
		"  - {name: a, kind: own, domains: [a.jp], title: {en: A}}\n":                                                                                        `p.yaml:4:50: providers[0].title has no "ja"; it must be text`,
		"  - {name: a, kind: own, domains: [a.jp], title: {ja: A, en: \"\"}}\n":                                                                              `p.yaml:4:62: providers[0].title.en is empty; write it in both languages`,
		"  - {name: a, kind: own, domains: [a.jp], title: {ja: A, en: A, de: A}}\n":                                                                          `p.yaml:4:65: unknown key "de"; known keys: ja, en`,
		"  - {name: a, kind: own, domains: [a.jp], submission: {host: smtp.a.jp, ports: [{port: 587}], note: a note}}\n":                                     `p.yaml:4:101: providers[0].submission.note is the text "a note"; it must be a mapping with the keys ja, en`,
		"  - {name: a, kind: own, domains: [a.jp], submission: {host: smtp.a.jp, ports: [{port: 587}], note: {ja: 注意, en: \" \"}}}\n":                        `p.yaml:4:114: providers[0].submission.note.en is empty; write it in both languages`,
		"  - {name: a, kind: provider, mx: [a.jp], published: \"https://a.jp/\", submission: {hostFrom: contract, ports: []}}\n":                             "p.yaml:4:111: submission of provider \"a\" has no ports; give one such as {port: 587, tls: starttls}",
	} {
		_, err := Load(strict.File{Name: "p.yaml", Data: []byte(header + text)})
		if !errors.Is(err, ErrDirectory) && !errors.Is(err, strict.ErrDecode) || err.Error() != want {
			t.Errorf("%s\n%v\nwant\n%s", text, err, want)
		}
	}
	if _, err := Load(strict.File{Name: "p.yaml", Data: []byte(header + "  - {name: a, kindd: own}\n")}); !errors.Is(err, strict.ErrDecode) {
		t.Errorf("an unknown key: %v", err)
	}
}
