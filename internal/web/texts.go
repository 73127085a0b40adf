package web

import (
	"fmt"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// texts contains the page's texts in English and Japanese, by key.
var texts = map[string][2]string{
	"site":              {"op25b", "op25b"},
	"skip":              {"Skip to the content", "本文へ移動"},
	"overview":          {"Overview", "概要"},
	"programme":         {"Programme", "計画"},
	"changes":           {"Changes", "変更"},
	"check":             {"Check", "確認"},
	"menu":              {"Pages", "ページ"},
	"sign in":           {"Sign in", "サインイン"},
	"sign out":          {"Sign out", "サインアウト"},
	"signed in":         {"%s, role %s", "%s（役割 %s）"},
	"token":             {"Token", "トークン"},
	"token hint":        {"The token that op25b token printed for you.", "op25b token が出力したトークンを入力してください。"},
	"wrong token":       {"This token is not in the access file, or it has expired.", "このトークンはアクセスファイルにないか、期限切れです。"},
	"no role":           {"This token has no role.", "このトークンには役割がありません。"},
	"language":          {"日本語", "English"},
	"other language":    {"ja", "en"},
	"problem":           {"This page cannot be shown", "ページを表示できません"},
	"back to overview":  {"Back to the overview", "概要へ戻る"},
	"headline":          {"%d of %d switches are what the intent says", "%[2]d台中%[1]d台のスイッチが意図どおりです"},
	"revision":          {"revision %d", "第%d版"},
	"no intent":         {"There is no intent yet: op25b apply -f DIR --reason TEXT.", "まだ意図がありません: op25b apply -f DIR --reason TEXT"},
	"attention":         {"Needs attention", "要対応"},
	"none attention":    {"Nothing needs attention.", "対応が必要なものはありません。"},
	"and more":          {"and %d more: filter the switches below", "ほか%d台: 下のスイッチ一覧で絞り込んでください"},
	"switches":          {"Switches", "スイッチ"},
	"switch":            {"Switch", "スイッチ"},
	"state":             {"State", "状態"},
	"reason":            {"Reason", "理由"},
	"rev":               {"Revision", "版"},
	"owner":             {"Controller", "コントローラー"},
	"since":             {"Since", "開始"},
	"seen":              {"Last answer", "最後の応答"},
	"filter":            {"Name contains", "名前に含む文字"},
	"show all":          {"All", "すべて"},
	"show attention":    {"Only those that need attention", "要対応のみ"},
	"apply filter":      {"Filter", "絞り込む"},
	"hidden":            {"%d switches are hidden by the filter.", "絞り込みにより%d台を隠しています。"},
	"legend":            {"✓ as wanted, … changing, × not connected, ? not known, ! failed", "✓ 意図どおり　… 反映中　× 切断　? 不明　! 失敗"},
	"next dates":        {"Next dates", "次の予定"},
	"no dates":          {"Nothing changes by itself.", "自動的に変わる予定はありません。"},
	"phase":             {"Phase", "フェーズ"},
	"date":              {"Date", "日時"},
	"in force":          {"In force", "有効"},
	"in force for":      {"In force for", "有効な範囲"},
	"everywhere":        {"every line", "すべての回線"},
	"not in force":      {"-", "-"},
	"rule":              {"Rule", "規則"},
	"action":            {"Action", "動作"},
	"service":           {"Service", "サービス"},
	"remote":            {"Servers", "サーバー"},
	"legs":              {"Legs", "方向"},
	"groups":            {"Line groups", "回線グループ"},
	"all groups":        {"all", "すべて"},
	"begins":            {"From", "開始日時"},
	"table":             {"Table", "テーブル"},
	"entries":           {"Entries", "エントリー"},
	"size":              {"Size", "容量"},
	"fill":              {"Fill", "使用率"},
	"tables":            {"Tables", "テーブル"},
	"counters":          {"Counters", "カウンター"},
	"collected":         {"Collection", "収集"},
	"values of":         {"Values of", "値の時刻"},
	"leg":               {"Leg", "方向"},
	"packets":           {"Packets", "パケット"},
	"octets":            {"Octets", "オクテット"},
	"rate":              {"Packets/s", "パケット毎秒"},
	"no rule counted":   {"No packet has matched a rule yet.", "規則に一致したパケットはまだありません。"},
	"counted":           {"Packets that rules counted lately", "最近の規則ごとのパケット数"},
	"last hour":         {"Last hour", "直近1時間"},
	"last day":          {"Last 24 hours", "直近24時間"},
	"recorded all":      {"%s: all of it was recorded.", "%s: すべて記録されています。"},
	"recorded part":     {"%s: %s of %s were recorded. What was counted in the rest may be missing.", "%s: %[3]sのうち%[2]sが記録されています。残りの時間の値は含まれないことがあります。"},
	"recorded none":     {"%s: nothing was recorded.", "%s: 記録がありません。"},
	"none counted":      {"No rule counted a packet in the recorded time.", "記録された時間に、規則に一致したパケットはありません。"},
	"no history":        {"This controller keeps no history of counters: op25b serve --history.", "このコントローラーはカウンターの履歴を保存していません: op25b serve --history"},
	"minutes":           {"%d min", "%d分"},
	"hours":             {"%d h", "%d時間"},
	"hours and minutes": {"%d h %d min", "%d時間%d分"},
	"interfaces":        {"Interfaces", "インターフェース"},
	"interface":         {"Interface", "インターフェース"},
	"way":               {"Way", "向き"},
	"in":                {"in", "入"},
	"out":               {"out", "出"},
	"old values":        {"These values are old.", "これは古い値です。"},
	"drift":             {"Repaired changes of others", "ほかからの変更の修復"},
	"no drift":          {"No change by others was found.", "ほかからの変更は見つかっていません。"},
	"foreign":           {"Foreign entries", "ほかのプログラムのエントリー"},
	"address":           {"Address", "アドレス"},
	"audited":           {"Last compared", "最後の照合"},
	"history":           {"History", "履歴"},
	"who":               {"Who", "実行者"},
	"what":              {"What", "内容"},
	"why":               {"Reason", "理由"},
	"audit":             {"Audit chain", "監査記録"},
	"head":              {"Head", "先頭"},
	"record":            {"Record", "記録"},
	"pause":             {"Pause", "一時停止"},
	"resume":            {"Resume", "再開"},
	"paused":            {"Paused at", "一時停止中: "},
	"connected":         {"Live, last change or sign of life at", "自動更新中、最後の通信: "},
	"lost":              {"The connection is lost. These values are old, of", "接続が切れました。表示は古い値です: "},
	"loaded":            {"Loaded at", "表示時刻"},
	"reload":            {"Load again", "再読み込み"},
	"from line":         {"Line (its name in the inventory)", "回線（インベントリーの名前）"},
	"from address":      {"or its address", "またはアドレス"},
	"to server":         {"Server", "サーバー"},
	"to port":           {"Port", "ポート"},
	"mailbox":           {"or a mail address", "またはメールアドレス"},
	"at":                {"At (YYYY-MM-DD HH:MM, empty for now)", "日時（YYYY-MM-DD HH:MM、空欄は現在）"},
	"ask":               {"Ask the pipeline", "パイプラインで確認"},
	"answer":            {"Answer", "回答"},
	"activate":          {"Activate", "有効化"},
	"roll back":         {"Roll back", "取り消し"},
	"preview":           {"Show what would change", "変わる内容を表示"},
	"preview of":        {"Show what activating %s would change", "%sを有効化すると変わる内容を表示"},
	"preview back":      {"Show what a rollback would change", "取り消すと変わる内容を表示"},
	"scope groups":      {"Line groups, empty for all", "回線グループ（空欄はすべて）"},
	"scope switches":    {"Switches, empty for all", "スイッチ（空欄はすべて）"},
	"reason for":        {"Reason, for the audit chain", "監査記録に残す理由"},
	"reason needed":     {"Give a reason.", "理由を入力してください。"},
	"do it":             {"Do it", "実行する"},
	"outcome unknown":   {"It is not known whether the change was made: look at Changes before you repeat it", "変更が行われたか不明です。繰り返す前に「変更」で確認してください"},
	"check hint":        {"Give a line or its address, and a server with a port or a mail address.", "回線またはアドレスと、サーバーとポート、またはメールアドレスを入力してください。"},
	"controller":        {"controller %s", "コントローラー %s"},
}

// T returns a text in the page's language. A missing key is a programming error, which a test
// detects.
func (b base) T(key string, args ...any) string {
	t, known := texts[key]
	if !known {
		return "[" + key + "]"
	}
	text := t[0]
	if b.Lang == "ja" {
		text = t[1]
	}
	if len(args) > 0 {
		return fmt.Sprintf(text, args...)
	}
	return text
}

// State returns the name of a switch's state.
func (b base) State(s op25bv1.SwitchState) string { return view.State(b.Lang, s) }
