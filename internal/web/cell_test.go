package web

import (
	"html/template"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// cellTemplate is the cell as html/template renders it.
var cellTemplate = template.Must(template.New("cell").Parse(
	`<li id="cell-{{.Name}}" class="{{.Class}}"><a href="/switch/{{.Path}}" title="{{.Name}}{{.Colon}}{{.State}}{{if .Why}}{{.Comma}}{{.Why}}{{end}}"><span aria-hidden="true">{{.Mark}}</span> {{.Name}}<span class="hide">{{.Comma}}{{.State}}</span></a></li>
`))

// nasty draws names and reasons, among them the characters that end a text, an attribute or a path, and marks that change the direction of text.
func nasty() *rapid.Generator[string] {
	pieces := rapid.SampledFrom([]string{
		"<script>", "</a>", `"`, "'", "&", "&amp;", "<!--", "-->", "\x00", "+", "=", "`", "/", "?", "#", "%", "%2f", "..", ";", ",", ":", "@", "$", "javascript:",
		"\u202e", "\u2066", "é", "一", "\r\n", "\U0001F4E7", " onload=x ", "]]>", "{{.}}", "\xff",
	})
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9-]{1,40}`), rapid.String(),
		rapid.Map(rapid.SliceOfN(pieces, 0, 8), func(all []string) string { return strings.Join(all, "") }),
	)
}

// TestCellIsEscaped verifies that the cell that is written by hand is the same as that of html/template, whatever the names are.
func TestCellIsEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &op25bv1.SwitchStatus{
			Switch: nasty().Draw(t, "switch"), Detail: nasty().Draw(t, "detail"), State: op25bv1.SwitchState(rapid.IntRange(0, 12).Draw(t, "state")),
			Reason: op25bv1.SwitchReason(rapid.IntRange(0, 80).Draw(t, "reason")), Converged: rapid.Bool().Draw(t, "converged"),
		}
		b := base{Lang: rapid.SampledFrom([]string{"en", "ja"}).Draw(t, "language")}
		got := b.cellOf(s)
		var want strings.Builder
		level := severity(s)
		err := cellTemplate.Execute(&want, map[string]any{
			"Name": prose.Escape(s.Switch), "Path": url.PathEscape(s.Switch), "Class": severityClass[level], "Mark": severityMark[level], "State": b.State(s.State), "Why": prose.Escape(view.Why(b.Lang, s)), "Colon": b.T("colon"), "Comma": b.T("comma"),
		})
		if err != nil || got.html != want.String() {
			t.Fatalf("by hand:\n%q\nby html/template (%v):\n%q", got.html, err, want.String())
		}
		if got.id != "cell-"+s.Switch || got.status != s {
			t.Fatalf("cell %q of %v", got.id, got.status)
		}
	})
}
