package feed

import (
	"html/template"

	"op25b/internal/policy"
	"op25b/internal/portal/notice"
)

// NoticeEntry returns the entry of a notice. path is the path of its page, and html its text. The days of a notice begin at the policy's UTC
// offset.
func NoticeEntry(n *notice.Notice, path string, html template.HTML, at policy.Offset) Entry {
	return Entry{
		Name: "notice/" + n.ID, Day: n.Date, Path: path, Title: n.Title.Plain(), Language: n.Language, HTML: html,
		Published: n.Date.Start(at), Updated: n.Changed().Start(at),
	}
}
