package portal

import "op25b/internal/page"

// wordTexts are the words for rules, outcomes and confirmations.
var wordTexts = page.Texts{
	"list comma":       {", ", "、"},
	"every server":     {"every other server", "そのほかのすべてのサーバー"},
	"own servers":      {"our own mail servers", "当社のメールサーバー"},
	"other servers":    {"all other servers", "そのほかのサーバー"},
	"servers of":       {"servers of the group “%s”", "「%s」に属するサーバー"},
	"rule sentence":    {"Connections to %[1]s, port %[2]s, are %[3]s.", "%[1]sの%[2]s番ポートへの接続は、%[3]s。"},
	"action drop":      {"blocked", "遮断されます"},
	"action reject":    {"refused with an error message", "エラーを返して拒否されます"},
	"action limit":     {"limited in their rate", "一定の回数に制限されます"},
	"action monitor":   {"counted, but not blocked", "数だけを数え、遮断されません"},
	"action permit":    {"not blocked", "遮断されません"},
	"rule relay":       {"Connections to our own mail servers are never blocked.", "当社のメールサーバーへの接続は、遮断されません。"},
	"rule submission":  {"Ports 465 and 587, which are for mail programs, are open to every server.", "メールソフト用の465番・587番ポートは、すべてのサーバーに対して開いています。"},
	"rule exempt":      {"An exemption lets this line send to every server.", "適用除外により、この回線からはすべてのサーバーへ送信できます。"},
	"rule other":       {"The rule “%s” decided this.", "規則「%s」によります。"},
	"since":            {"In force since %[1]s: %[2]s", "%[1]sから実施中です：%[2]s"},
	"since planned":    {"Planned since %[1]s, and not yet confirmed everywhere: %[2]s", "%[1]sから実施の予定です（まだすべての設備では確認できていません）：%[2]s"},
	"next":             {"Planned from %[1]s: %[2]s", "%[1]sから実施の予定です：%[2]s"},
	"no phase":         {"Nothing is in force for these lines yet.", "この回線では、まだ何も実施していません。"},
	"confirmed":        {"All our switches for such lines (%s) have confirmed that this is in force.", "対象の設備%s台すべてで、この内容が実施されていることを確認しました。"},
	"confirmed partly": {"This should be in force, but is not yet confirmed everywhere: of %[1]s switches for such lines, %[2]s have confirmed it.", "この内容が実施されているはずですが、まだすべては確認できていません。対象の設備%[1]s台のうち、確認できたのは%[2]s台です。"},
	"confirmed then":   {"This should be in force. It cannot be confirmed at present. Last contact: %s.", "この内容が実施されているはずですが、ただいま確認できません。最後に確認できた日時：%s。"},
	"own confirmed":    {"The switch of your line has confirmed that this is in force.", "お客さまの回線の設備で、この内容が実施されていることを確認しました。"},
	"own unconfirmed":  {"This should be in force on your line, but its switch has not confirmed it yet.", "お客さまの回線でこの内容が実施されているはずですが、設備ではまだ確認できていません。"},
	"outcome passes":   {"open", "送信できます"},
	"outcome limited":  {"open, but limited in the rate", "回数の制限内で送信できます"},
	"outcome rejected": {"blocked, with an error message", "送信できません（エラーを返します）"},
	"outcome blocked":  {"blocked", "送信できません"},
	"outcome unknown":  {"unknown", "不明"},
	"from day":         {"since %s", "%sから"},
	"until day":        {"until %s", "%sまで"},
}
