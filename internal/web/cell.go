package web

import (
	"net/url"
	"strings"

	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// severity returns the rank of a switch's state; the worst state comes first.
func severity(s *op25bv1.SwitchStatus) int {
	switch {
	case s.State == op25bv1.SwitchState_SWITCH_STATE_FAILED:
		return 0
	case s.State == op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, s.State == op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED:
		return 1
	case s.State == op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, s.State == op25bv1.SwitchState_SWITCH_STATE_BACKUP:
		return 2
	case s.State == op25bv1.SwitchState_SWITCH_STATE_HELD:
		return 3
	case !s.Converged:
		return 4
	}
	return 5
}

var severityClass = [...]string{"bad", "unknown", "bad", "unknown", "busy", "good"}

// severityMark has the letters of the grid by severity, so that colour is never the only sign (WCAG 2.2,
// 1.4.1).
var severityMark = [...]string{"!", "?", "×", "‖", "…", "✓"}

// A cell is one switch in the grid of the overview.
type cell struct {
	status *op25bv1.SwitchStatus
	id     string // of the element
	html   string
}

// escaper escapes text for HTML content and quoted attributes, in the same way as html/template.
var escaper = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;")

// cellOf renders the cell of a switch. A thousand cells are most of the overview, and html/template takes ten times as long for them.
func (b base) cellOf(s *op25bv1.SwitchStatus) cell {
	level := severity(s)
	name, state, why := escaper.Replace(prose.Escape(s.Switch)), escaper.Replace(b.State(s.State)), escaper.Replace(prose.Escape(view.Why(b.Lang, s)))
	var w strings.Builder
	w.Grow(256)
	w.WriteString(`<li id="cell-`)
	w.WriteString(name)
	w.WriteString(`" class="`)
	w.WriteString(severityClass[level])
	w.WriteString(`"><a href="/switch/`)
	w.WriteString(escaper.Replace(url.PathEscape(s.Switch)))
	w.WriteString(`" title="`)
	w.WriteString(name)
	w.WriteString(b.T("colon"))
	w.WriteString(state)
	if why != "" {
		w.WriteString(b.T("comma"))
		w.WriteString(why)
	}
	w.WriteString(`"><span aria-hidden="true">`)
	w.WriteString(severityMark[level])
	w.WriteString(`</span> `)
	w.WriteString(name)
	w.WriteString(`<span class="hide">`)
	w.WriteString(b.T("comma"))
	w.WriteString(state)
	w.WriteString("</span></a></li>\n")
	return cell{s, "cell-" + s.Switch, w.String()}
}
