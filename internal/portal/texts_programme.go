package portal

import "op25b/internal/page"

// programmeTexts are the texts of the programme.
var programmeTexts = page.Texts{
	"programme title": {"Schedule", "実施の予定"},
	"programme lead":  {"These dates come from the policy that our switches follow.", "次の日程は、当社の設備が従う規制方針から作成しています。"},
	"programme of":    {"Lines: %s", "対象の回線：%s"},
	"step now":        {"now", "現在"},
	"step scheduled":  {"at present, by the schedule", "予定では現在の段階"},
	"step past":       {"past", "終了"},
	"step next":       {"planned", "予定"},
	"step planned":    {"Planned for %s", "当初の予定：%sから"},
	"step from":       {"from %s", "%sから"},
}
