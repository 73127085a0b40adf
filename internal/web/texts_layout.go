package web

import "op25b/internal/page"

// layoutTexts are the texts of the frame of every page, in English and Japanese.
var layoutTexts = page.Texts{
	"comma":            {", ", "、"},
	"colon":            {": ", "："},
	"semicolon":        {"; ", "；"},
	"full stop":        {". ", "。"},
	"in brackets":      {"%s (%s)", "%s（%s）"},
	"site":             {"op25b", "op25b"},
	"skip":             {"Skip to the content", "本文へ移動"},
	"overview":         {"Overview", "概要"},
	"programme":        {"Programme", "計画"},
	"changes":          {"Changes", "変更"},
	"check":            {"Check", "確認"},
	"menu":             {"Pages", "ページ"},
	"sign out":         {"Sign out", "サインアウト"},
	"signed in":        {"%s, role %s", "%s（役割 %s）"},
	"language":         {"日本語", "English"},
	"other language":   {"ja", "en"},
	"problem":          {"This page cannot be shown", "ページを表示できません"},
	"back to overview": {"Back to the overview", "概要へ戻る"},
	"loaded":           {"Loaded at", "表示時刻"},
	"reload":           {"Load again", "再読み込み"},
	"controller":       {"controller %s", "コントローラー %s"},
}
