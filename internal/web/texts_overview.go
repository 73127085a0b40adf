package web

import "op25b/internal/page"

// overviewTexts are the texts of the first page, in English and Japanese.
var overviewTexts = page.Texts{
	"headline":       {"%d of %d switches are what the intent says", "%[2]d台中%[1]d台のスイッチが意図どおりです"},
	"revision":       {"revision %d", "第%d版"},
	"no intent":      {"There is no intent yet: op25b apply -f DIR --reason TEXT.", "まだ意図がありません: op25b apply -f DIR --reason TEXT"},
	"attention":      {"Needs attention", "要対応"},
	"none attention": {"Nothing needs attention.", "対応が必要なものはありません。"},
	"and more":       {"and %d more: filter the switches below", "ほか%d台: 下のスイッチ一覧で絞り込んでください"},
	"switches":       {"Switches", "スイッチ"},
	"switch":         {"Switch", "スイッチ"},
	"state":          {"State", "状態"},
	"reason":         {"Reason", "理由"},
	"rev":            {"Revision", "版"},
	"owner":          {"Controller", "コントローラー"},
	"since":          {"Since", "開始"},
	"filter":         {"Name contains", "名前に含む文字"},
	"show all":       {"All", "すべて"},
	"show attention": {"Only those that need attention", "要対応のみ"},
	"apply filter":   {"Filter", "絞り込む"},
	"hidden":         {"%d switches are hidden by the filter.", "絞り込みにより%d台を隠しています。"},
	"legend":         {"✓ as wanted, … changing, × not connected, ? not known, ! failed", "✓ 意図どおり　… 反映中　× 切断　? 不明　! 失敗"},
	"next dates":     {"Next dates", "次の予定"},
	"no dates":       {"Nothing changes by itself.", "自動的に変わる予定はありません。"},
	"pause":          {"Pause", "一時停止"},
	"resume":         {"Resume", "再開"},
	"paused":         {"Paused at", "一時停止中: "},
	"connected":      {"Live, last change or sign of life at", "自動更新中、最後の通信: "},
	"lost":           {"The connection is lost. These values are old, of", "接続が切れました。表示は古い値です: "},
}
