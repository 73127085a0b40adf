package web

import "op25b/internal/page"

// checkTexts are the texts of the support desk's form and its answers, in English and Japanese.
var checkTexts = page.Texts{
	"ticket":       {"Ticket (kept in the audit chain)", "受付番号（監査記録に残ります）"},
	"from line":    {"Line (its name in the inventory)", "回線（インベントリーの名前）"},
	"from address": {"or its address", "またはアドレス"},
	"to server":    {"Server", "サーバー"},
	"to port":      {"Port", "ポート"},
	"mailbox":      {"or a mail address", "またはメールアドレス"},
	"at":           {"At (YYYY-MM-DD HH:MM, empty for now)", "日時（YYYY-MM-DD HH:MM、空欄は現在）"},
	"ask":          {"Ask the pipeline", "パイプラインで確認"},
	"check hint":   {"Give a line or its address, and a server with a port or a mail address. Each question is recorded in the audit chain, without the addresses.", "回線またはアドレスと、サーバーとポート、またはメールアドレスを入力してください。質問は監査記録に残りますが、アドレスは記録されません。"},

	"answer":     {"Answer", "回答"},
	"answer now": {"For the present time, %s.", "現在（%s）についての回答です。"},
	"answer at":  {"For %s.", "%s時点についての回答です。"},

	"passes":        {"Connections from this line to %s, port %d, pass.", "お客さまの回線から %s のポート%d番へ接続できます。"},
	"is limited":    {"Connections from this line to %s, port %d, pass, but only a few at a time.", "お客さまの回線から %s のポート%d番へ接続できますが、短時間に接続できる回数に上限があります。"},
	"is rejected":   {"Connections from this line to %s, port %d, are stopped. The mail program shows an error at once.", "お客さまの回線から %s のポート%d番へは接続できません。メールソフトにはすぐにエラーが表示されます。"},
	"is blocked":    {"Connections from this line to %s, port %d, are stopped. The mail program waits, and gives up after a while.", "お客さまの回線から %s のポート%d番へは接続できません。メールソフトは応答を待ち、しばらくして送信に失敗します。"},
	"partly passes": {"Of the addresses of %s, this line reaches only some on port %d. Sending may fail.", "%s のアドレスのうち、お客さまの回線からポート%d番へ接続できるのは一部だけです。送信に失敗することがあります。"},

	"so since":      {"This has been so since %s.", "%sからこの状態です。"},
	"so from":       {"This will be so from %s.", "%sからこの状態になります。"},
	"later stopped": {"From %s on, they are stopped.", "%s以降は接続できません。"},
	"later passes":  {"From %s on, they pass.", "%s以降は接続できます。"},
	"exempt until":  {"An exemption lets them pass until %s.", "例外として、%sまで接続が認められています。"},

	"use submission":        {"In the mail program, set the port of the outgoing server to 465 or 587, and use SMTP authentication.", "メールソフトの送信サーバーのポート番号を465番または587番に変更し、SMTP認証を有効にしてください。"},
	"use submission before": {"Before then, set the port of the outgoing server in the mail program to 465 or 587, and use SMTP authentication.", "それまでに、メールソフトの送信サーバーのポート番号を465番または587番に変更し、SMTP認証を有効にしてください。"},
	"ask the mailbox":       {"For the settings of a mailbox, enter its mail address above instead of the server.", "具体的な設定は、サーバーの代わりにメールアドレスを入力すると表示されます。"},
	"ask engineers":         {"The policy stops this port. Please pass the question on to the engineers.", "このポートは設定により止められています。技術担当へ引き継いでください。"},
	"other cause":           {"Nothing has to be changed for this connection. If mail cannot be sent all the same, the cause is another one: check the settings and the password in the mail program.", "この接続について設定を変更する必要はありません。それでも送信できない場合は、別の原因が考えられます。メールソフトの設定とパスワードをご確認ください。"},
	"no line has it":        {"No line of the inventory has this address. The answer is for a line that is not registered.", "このアドレスの回線は登録されていません。未登録の回線についての回答です。"},

	"mailbox unaffected":   {"Mailboxes of %s, used in the usual way, are not affected.", "%s のメールは、通常のご利用方法では影響を受けません。"},
	"mailbox affected":     {"Mailboxes of %s are affected.", "%s のメールは影響を受けます。"},
	"mailbox undetermined": {"Whether mailboxes of %s are affected cannot be determined from here.", "%s のメールが影響を受けるかどうかは、ここでは判断できません。"},

	"not confirmed":       {"The switch has not confirmed this yet. The answer describes what should be in force.", "スイッチの状態をまだ確認できていません。以下は、本来の設定にもとづく回答です。"},
	"engineer":            {"For the engineer: revision, state seen and trace", "技術担当向け: リビジョン、確認した状態、トレース"},
	"based on":            {"Based on revision", "もとにしたリビジョン"},
	"seen state":          {"State seen", "確認した状態"},
	"confirmed":           {"Confirmed by the switch: revision %d, phases %s, seen at %s, %s ago", "スイッチで確認済み: リビジョン%d、フェーズ %s、%s（%s前）"},
	"seen otherwise":      {"Not confirmed. Last seen: revision %d, phases %s, at %s, %s ago", "未確認。最後に確認した状態: リビジョン%d、フェーズ %s、%s（%s前）"},
	"never seen":          {"Not confirmed. The switch was never seen.", "未確認。スイッチから応答を受けたことがありません。"},
	"cannot be confirmed": {"No switch can confirm an answer for another time.", "ほかの日時についての回答は、スイッチでは確認できません。"},
}
