package markdown

import (
	"errors"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"op25b/internal/lang"
	"op25b/internal/strict"
)

var words = Vocabulary{Texts: []string{"isp", "port.smtp"}, Blocks: []string{"programme"}, Pages: []string{"check", "questions"}}

var given = Values{
	Text:  map[string]string{"isp": `<b>"A&B"</b>`, "port.smtp": "25"},
	Block: map[string]template.HTML{"programme": "<ul><li>2006-06-01</li></ul>"},
	Page:  map[string]string{"check": "/ja/check", "questions": "/ja/questions?a=1&b=2"},
}

func parse(text string, l lang.Language) (*Document, error) {
	return Parse(Source{File: "a.md", Text: []byte(text), Line: 5, Language: l}, words)
}

func TestRender(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"paragraph", "a & b", "<p>a &amp; b</p>\n"},
		{"ruby", "ポート{遮断|しゃだん}です", "<p>ポート<ruby>遮断<rp>（</rp><rt>しゃだん</rt><rp>）</rp></ruby>です</p>\n"},
		{"ruby is escaped", `{<b>|"x"}`, "<p><ruby>&lt;b&gt;<rp>（</rp><rt>&#34;x&#34;</rt><rp>）</rp></ruby></p>\n"},
		{"ruby in a heading and a link", "## {遮断|しゃだん} {#stop}\n\n[{窓|まど}](page:check)", `<h2 id="stop"><ruby>遮断<rp>（</rp><rt>しゃだん</rt><rp>）</rp></ruby></h2>` + "\n" +
			`<p><a href="/ja/check"><ruby>窓<rp>（</rp><rt>まど</rt><rp>）</rp></ruby></a></p>` + "\n"},
		{"other braces", `{a} {|b} {b|} \{x|y} { {{`, "<p>{a} {|b} {b|} {x|y} { {{</p>\n"},
		{"value", "port {{port.smtp}} of {{ isp }}", "<p>port 25 of &lt;b&gt;&#34;A&amp;B&#34;&lt;/b&gt;</p>\n"},
		{"value alone", "{{port.smtp}}", "<p>25</p>\n"},
		{"value in code", "`{{isp}}`", "<p><code>{{isp}}</code></p>\n"},
		{"block", "a\n\n{{programme}}\n\nb", "<p>a</p>\n<ul><li>2006-06-01</li></ul>\n<p>b</p>\n"},
		{"page with id", "[a](page:questions#port-587)", "<p><a href=\"/ja/questions?a=1&amp;b=2#port-587\">a</a></p>\n"},
		{
			"links", "[a](https://a.example/?x=1&y=2) [b](/b) [c](c/d) [d](#d) <https://e.example> <m@example.jp> [f](mailto:m@example.jp) [g](http://g.example)",
			`<p><a href="https://a.example/?x=1&amp;y=2">a</a> <a href="/b">b</a> <a href="c/d">c</a> <a href="#d">d</a> <a href="https://e.example">https://e.example</a> ` +
				`<a href="mailto:m@example.jp">m@example.jp</a> <a href="mailto:m@example.jp">f</a> <a href="http://g.example">g</a></p>` + "\n",
		},
		{"table", "|a|b|\n|:-|-:|\n|1|2|", "<table>\n<thead>\n<tr>\n<th scope=\"col\">a</th>\n<th scope=\"col\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<th scope=\"row\">1</th>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n"},
		{"sign", `1 \< 2`, "<p>1 &lt; 2</p>\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := parse(c.text, lang.English)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Render(given)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestLineBreaks verifies that a line break within a paragraph is a space in English, and is nothing at Japanese characters.
func TestLineBreaks(t *testing.T) {
	for _, c := range []struct {
		l          lang.Language
		text, want string
	}{
		{lang.Japanese, "ポートを\n閉じます。", "ポートを閉じます。"},
		{lang.Japanese, "です。\n**25番**\nです。", "です。<strong>25番</strong>です。"},
		{lang.Japanese, "{迷惑|めいわく}\n{遮断|しゃだん}", "<ruby>迷惑<rp>（</rp><rt>めいわく</rt><rp>）</rp></ruby><ruby>遮断<rp>（</rp><rt>しゃだん</rt><rp>）</rp></ruby>"},
		{lang.Japanese, "番号は\n{{port.smtp}}\n番", "番号は25番"},
		{lang.Japanese, "[窓](/a)\nは`x`\nの", `<a href="/a">窓</a>は<code>x</code>の`},
		{lang.Japanese, "OP25B means\nOutbound Port", "OP25B means\nOutbound Port"},
		{lang.English, "Port 25\nis closed.\n*Now*\n{{port.smtp}}\nok", "Port 25\nis closed.\n<em>Now</em>\n25\nok"},
	} {
		d, err := parse(c.text, c.l)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.RenderLine(given)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("%s: %q\nwant %q", c.l, got, c.want)
		}
	}
}

func TestHeadings(t *testing.T) {
	d, err := parse("## 25番ポート{遮断|しゃだん}とは {#what}\n\n### 詳細 {#more}\n\n## A **b** {#a-b}\n\n## None", lang.Japanese)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Heading{{"what", "25番ポート遮断とは"}, {"a-b", "A b"}}, d.Headings()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBad(t *testing.T) {
	const link = `"; a link goes to https://, http:// or mailto:, to page:NAME, or to a relative address`
	for text, want := range map[string]string{
		"a <script>alert(1)</script>":    "a.md:5:3: the text has raw HTML; write Markdown, or \\< for the sign itself\na.md:5:19: the text has raw HTML; write Markdown, or \\< for the sign itself",
		"a\n\n<div>\nb\n</div>":          "a.md:7:1: the text has raw HTML; write Markdown, or \\< for the sign itself",
		"<!-- hidden -->":                "a.md:5:1: the text has raw HTML; write Markdown, or \\< for the sign itself",
		"a ![b](c.png)":                  "a.md:5:3: the text has an image; images are not supported: describe in words what it shows",
		"[a](javascript:alert(1))":       `a.md:5:1: a link goes to "javascript:alert(1)` + link,
		"[a](java&#115;cript:x)":         `a.md:5:1: a link goes to "javascript:x` + link,
		"[a](JavaScript&colon;x)":        `a.md:5:1: a link goes to "JavaScript:x` + link,
		"[a](data:text/html,x)":          `a.md:5:1: a link goes to "data:text/html,x` + link,
		"[a](//evil.example)":            `a.md:5:1: a link goes to "//evil.example` + link,
		"[a](https:evil)":                `a.md:5:1: a link goes to "https:evil` + link,
		"[a](mailto:)":                   `a.md:5:1: a link goes to "mailto:` + link,
		"[a]()":                          `a.md:5:1: a link goes to "` + link,
		"<ftp://a.example>":              `a.md:5:1: a link goes to "ftp://a.example` + link,
		"[a][b]\n\n[b]: vbscript:x":      `a.md:5:1: a link goes to "vbscript:x` + link,
		`[a](/b "c")`:                    `a.md:5:1: a link has the title "c", which phones and keyboards do not show; write it in the text`,
		"[a](page:chek)":                 `a.md:5:1: unknown page "chek" in a link; did you mean "check"? pages: check, questions`,
		"[a](page:check#A)":              `a.md:5:1: the link to page "check" has the id "A"; an id has small letters, digits and hyphens`,
		"# Title":                        "a.md:5:1: a heading of level 1 follows the level 1; begin it with ##: the title of the page is level 1, and no level is left out",
		"## a\n\n#### b":                 "a.md:7:1: a heading of level 4 follows the level 2; begin it with ###: the title of the page is level 1, and no level is left out",
		"## a {#b}\n\n## c {#b}":         `a.md:7:6: two headings have the id "b"; give each its own`,
		"## a {#B}":                      `a.md:5:6: a heading has the id "B"; an id begins with a small letter, and has at most 64 small letters, digits and hyphens`,
		"a {#b}":                         `a.md:5:3: the id {#b} is not at the end of a heading; move it there, or write \{ for the sign itself`,
		"## port {{port.smtp}}":          `a.md:5:9: a heading has the value {{port.smtp}}; write it in the text below`,
		"port {{port.smpt}}":             `a.md:5:6: unknown value {{port.smpt}}; did you mean "port.smtp"? values: isp, port.smtp, programme`,
		"{{program}}":                    `a.md:5:1: unknown value {{program}}; did you mean "programme"? values: isp, port.smtp, programme`,
		"日付は {{programme}}":              "a.md:5:5: {{programme}} stands in a line; write it in a paragraph of its own",
		"a\n\xff":                        "a.md:6:1: byte 0xff is not UTF-8; save the file as UTF-8",
		"a\x1b[1m":                       "a.md:5:2: character U+001B is a control character; remove it",
		strings.Repeat("a", MaxSource+1): "a.md:5:1: the text has 65537 bytes; must be at most 65536: divide it",
	} {
		_, err := parse(text, lang.English)
		if !errors.Is(err, ErrMarkdown) || err.Error() != want {
			t.Errorf("%.60q\n%v\nwant\n%s", text, err, want)
		}
		var faults strict.Faults
		if !errors.As(err, &faults) {
			t.Errorf("%.60q: the error is a %T", text, err)
		}
	}
}

// TestMissingValues verifies that a document is not rendered if the portal lacks a value.
func TestMissingValues(t *testing.T) {
	for text, want := range map[string]string{
		"port {{port.smtp}}": "a.md: no value for a name in a document: {{port.smtp}}",
		"{{programme}}":      "a.md: no value for a name in a document: {{programme}}",
		"[a](page:check)":    "a.md: no value for a name in a document: page:check",
	} {
		d, err := parse(text, lang.English)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Render(Values{}); !errors.Is(err, ErrValue) || err.Error() != want || got != "" {
			t.Errorf("%s: %q, %v, want %s", text, got, err, want)
		}
	}
}

func TestLine(t *testing.T) {
	l, err := ParseLine("{迷惑|めいわく}メール & 25番ポート{遮断|しゃだん}")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Plain(), "迷惑メール & 25番ポート遮断"; got != want {
		t.Errorf("plain %q, want %q", got, want)
	}
	const rubied = "<ruby>迷惑<rp>（</rp><rt>めいわく</rt><rp>）</rp></ruby>メール &amp; 25番ポート<ruby>遮断<rp>（</rp><rt>しゃだん</rt><rp>）</rp></ruby>"
	if got := string(l.HTML()); got != rubied {
		t.Errorf("HTML %q, want %q", got, rubied)
	}
	const way = ": write ruby as in {漢字|かんじ}, and leave out other braces"
	for text, want := range map[string]string{
		" ":                            `invalid ruby: " ": it is empty` + way,
		"a\nb":                         `invalid ruby: "a\nb": it has more than one line` + way,
		"{漢字|}":                        `invalid ruby: "{漢字|}": the brace at "{漢字|}" does not belong to ruby` + way,
		"a}":                           `invalid ruby: "a}": the brace at "}" does not belong to ruby` + way,
		"{a|b":                         `invalid ruby: "{a|b": the brace at "{a|b" does not belong to ruby` + way,
		"{a|b|c}":                      `invalid ruby: "{a|b|c}": the brace at "{a|b|c}" does not belong to ruby` + way,
		strings.Repeat("字", maxLine+1): `it has more than 200 characters` + way,
	} {
		if _, err := ParseLine(text); !errors.Is(err, ErrRuby) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestRenderLine(t *testing.T) {
	for text, want := range map[string]string{"**[編集]** & {{port.smtp}}": "<strong>[編集]</strong> &amp; 25", "a\n\nb": "", "- a": "", "": "", "{{programme}}": ""} {
		d, err := parse(text, lang.Japanese)
		if err != nil {
			t.Fatal(err)
		}
		if d.IsLine() != (want != "") {
			t.Errorf("%q is a line: %v", text, d.IsLine())
		}
		if got, err := d.RenderLine(given); want != "" && (err != nil || string(got) != want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// allowed lists the elements that a document can produce, with their attributes.
var allowed = map[string][]string{
	"p": nil, "br": nil, "hr": nil, "em": nil, "strong": nil, "blockquote": nil, "pre": nil, "code": {"class"}, "ul": nil, "ol": {"start"}, "li": nil,
	"h2": {"id"}, "h3": {"id"}, "h4": {"id"}, "h5": {"id"}, "h6": {"id"}, "a": {"href"}, "table": nil, "thead": nil, "tbody": nil, "tr": nil, "th": nil, "td": nil,
	"ruby": nil, "rp": nil, "rt": nil,
}

// checkHTML parses HTML as a browser does, and reports elements, attributes and links that no document may produce.
func checkHTML(t *testing.T, source, out string) {
	t.Helper()
	for z := html.NewTokenizer(strings.NewReader(out)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.CommentToken, html.DoctypeToken:
			t.Fatalf("%q: %q has a comment or a doctype", source, out)
		case html.StartTagToken, html.SelfClosingTagToken:
			tag := z.Token()
			attributes, ok := allowed[tag.Data]
			if !ok {
				t.Fatalf("%q: %q has the element %s", source, out, tag.Data)
			}
			for _, a := range tag.Attr {
				if !slices.Contains(attributes, a.Key) {
					t.Fatalf("%q: %q has the attribute %s", source, out, a.Key)
				}
				if a.Key != "href" {
					continue
				}
				u, err := url.Parse(a.Val)
				if err != nil || !slices.Contains([]string{"", "http", "https", "mailto"}, u.Scheme) || u.Scheme == "" && u.Host != "" {
					t.Fatalf("%q: %q has a link to %q", source, out, a.Val)
				}
			}
		}
	}
}

// FuzzRender verifies that neither the author of a document nor the values of the portal can bring an element, an attribute or a link of
// another kind into a page.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"# a", "## a {#b}\n\nc", "[a](javascript:x)", "<script>x</script>", "{<script>|x}", "{{isp}}", "{{programme}}", "`<b>`", "```<x>\n<y>\n```", "|a|\n|-|\n|<b>|", "1) a\n\n    <b>",
		"[a]: <x> \"y\"\n\n[a]", "![a](b)", "<https://a.example/\">", "[\"><script>](\"><script>)", "&lt;script&gt;", "&#60;b&#62;", "[a](page:check)", "[a](page:check#\"onclick=x)",
	} {
		f.Add(seed, "value")
	}
	f.Add("{{isp}} {{port.smtp}}", "</p><script>alert(1)</script>")
	f.Fuzz(func(t *testing.T, source, value string) {
		for _, l := range lang.All() {
			d, err := parse(source, l)
			if err != nil {
				if err.Error() == "" {
					t.Fatal("an error without a text")
				}
				continue
			}
			out, err := d.Render(Values{Text: map[string]string{"isp": value, "port.smtp": value}, Block: given.Block, Page: given.Page})
			if err != nil {
				t.Fatalf("%q: %v", source, err)
			}
			checkHTML(t, source, string(out))
		}
		if line, err := ParseLine(source); err == nil {
			checkHTML(t, source, string(line.HTML()))
		}
	})
}
