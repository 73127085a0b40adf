package web

import "op25b/internal/page"

// changesTexts are the texts of the history and the audit chain, in English and Japanese.
var changesTexts = page.Texts{
	"date":    {"Date", "日時"},
	"history": {"History", "履歴"},
	"who":     {"Who", "実行者"},
	"what":    {"What", "内容"},
	"why":     {"Reason", "理由"},
	"audit":   {"Audit chain", "監査記録"},
	"head":    {"Head", "先頭"},
	"record":  {"Record", "記録"},
}
