package web

import "op25b/internal/page"

// programmeTexts are the texts of the programme, of its forecasts and of its changes, in English and Japanese.
var programmeTexts = page.Texts{
	"in force for":        {"In force for", "有効な範囲"},
	"everywhere":          {"every line", "すべての回線"},
	"not in force":        {"-", "-"},
	"action":              {"Action", "動作"},
	"service":             {"Service", "サービス"},
	"remote":              {"Servers", "サーバー"},
	"legs":                {"Legs", "方向"},
	"groups":              {"Line groups", "回線グループ"},
	"all groups":          {"all", "すべて"},
	"begins":              {"From", "開始日時"},
	"forecast h":          {"Forecast", "予測"},
	"forecast":            {"Activated now, this phase would newly stop port 25 for %s of the lines. %s of these used port 25 in the last %d days: %s like a mail program with one server. %s look like a bot.", "いま有効にすると、新たに%[1]s回線でポート25が止まります。そのうち過去%[3]d日間にポート25を使ったのは%[2]s回線で、1台のサーバーだけを使う回線は%[4]s、ボットらしい回線は%[5]sです。"},
	"forecast unused":     {"Activated now, this phase would newly stop port 25 for %s of the lines. None of these used port 25 in the last %d days.", "いま有効にすると、新たに%s回線でポート25が止まります。そのうち過去%d日間にポート25を使った回線はありません。"},
	"forecast none":       {"Activated now, this phase would newly stop no line.", "いま有効にしても、新たに止まる回線はありません。"},
	"forecast none here":  {"Activated now, this phase would newly stop no line on the switches of this controller.", "いま有効にしても、このコントローラーのスイッチで新たに止まる回線はありません。"},
	"forecast young":      {"Use of port 25 before %s is not counted on all switches, because some of them were not watched yet.", "%sより前の利用は、まだ記録していなかったスイッチでは数えられていません。"},
	"forecast incomplete": {"Some lines were not recorded because too many were active, so the numbers of users are too low.", "利用中の回線が多すぎて一部が記録されていないため、利用者数は実際より少なくなっています。"},
	"forecast missing":    {"Not included: %s. Another controller owns these switches, or no phase has begun on them.", "含まれないスイッチ: %s（ほかのコントローラーが管理しているか、まだフェーズが始まっていません）。"},
	"forecast owner":      {"Of these, the controller of %s is %s.", "このうち%sのコントローラーは%sです。"},
	"comma":               {", ", "、"},
	"names and more":      {"%s and %s more", "%sほか%s"},
	"activate":            {"Activate", "有効化"},
	"roll back":           {"Roll back", "取り消し"},
	"preview":             {"Show what would change", "変わる内容を表示"},
	"preview of":          {"Show what activating %s would change", "%sを有効化すると変わる内容を表示"},
	"preview back":        {"Show what a rollback would change", "取り消すと変わる内容を表示"},
	"scope groups":        {"Line groups, empty for all", "回線グループ（空欄はすべて）"},
	"scope switches":      {"Switches, empty for all", "スイッチ（空欄はすべて）"},
	"reason for":          {"Reason, for the audit chain", "監査記録に残す理由"},
	"reason needed":       {"Give a reason.", "理由を入力してください。"},
	"do it":               {"Do it", "実行する"},
	"outcome unknown":     {"It is not known whether the change was made: look at Changes before you repeat it", "変更が行われたか不明です。繰り返す前に「変更」で確認してください"},
}
