package portal

import "op25b/internal/page"

// testTexts are the texts of the page on which a visitor tests a server.
var testTexts = page.Texts{
	"test title":      {"Check my connection", "接続の確認"},
	"test lead":       {"Enter the name of the outgoing server in your mail program. This page tells you which of its ports your line reaches according to the rules of our switches. It does not connect to the server, so it cannot tell whether the server itself works.", "メールソフトに設定している送信サーバーの名前を入力してください。お客さまの回線からどのポートに接続できるかを、当社の設備の規則にもとづいてご案内します。実際に接続はしませんので、サーバー自体が動いているかどうかは分かりません。"},
	"test server":     {"Name of the outgoing server", "送信サーバーの名前"},
	"server hint":     {"For example smtp.example.jp. You can also enter its address. If you add a port, as in smtp.example.jp:587, we leave it out, because the result has all ports. We do not record what you enter.", "例：smtp.example.jp。IPアドレスでも確認できます。smtp.example.jp:587 のようなポート番号は無視し、すべてのポートの結果を表示します。入力内容は記録しません。"},
	"test now":        {"Check", "確認する"},
	"test result":     {"Result", "確認結果"},
	"test line":       {"From: %s", "回線：%s"},
	"test to":         {"To: %s", "送信サーバー：%s"},
	"this line":       {"the line that you are using now (%s)", "今ご利用中の回線（%s）"},
	"test port":       {"Port", "ポート"},
	"test outcome":    {"From %s", "%sから"},
	"port 25":         {"between mail servers", "メールサーバー間の通信"},
	"port 465":        {"for mail programs, with SSL/TLS", "メールソフトの送信（SSL/TLS）"},
	"port 587":        {"for mail programs, with STARTTLS", "メールソフトの送信（STARTTLS）"},
	"wrong server":    {"This is not the name of a server. Please write it as in smtp.example.jp, without a mail address.", "サーバー名の形式が正しくありません。smtp.example.jp のように入力してください。メールアドレスは入力しないでください。"},
	"no server":       {"No server with this name was found. Please check the name.", "この名前のサーバーは見つかりませんでした。名前をお確かめください。"},
	"no lookup":       {"We cannot look up names at present. We can only tell you what does not depend on the server's address. Please try again later.", "ただいまサーバー名を調べられません。サーバーのアドレスによらない結果だけを表示します。しばらくしてからもう一度お試しください。"},
	"no family":       {"Lines of this kind do not have an address of the same kind (IPv4 or IPv6) as this server.", "この種類の回線には、このサーバーと同じ種類（IPv4またはIPv6）のアドレスがありません。"},
	"advice program":  {"In a mail program, set the port to %s, if this server offers it.", "メールソフトでは、このサーバーが対応していれば、ポートを%s番に設定してください。"},
	"advice ask":      {"If you send from a mail server of your own, ask the contact for businesses whether our mail servers relay mail of your domain.", "ご自身のメールサーバーから送信する場合は、お客さまのドメインのメールを当社のメールサーバーで中継できるか、法人のお客さま窓口にお問い合わせください。"},
	"advice relay":    {"If you send from a mail server of your own, ask the contact for businesses whether our mail servers relay mail of your domain. Our mail servers can be reached on port 25 at all times.", "ご自身のメールサーバーから送信する場合は、お客さまのドメインのメールを当社のメールサーバーで中継できるか、法人のお客さま窓口にお問い合わせください。当社のメールサーバーの25番ポートへの接続は、いつでも遮断されません。"},
	"after login":     {"Check for mail first, then send within %d minutes.", "先にメールを受信し、その後%d分以内に送信してください。"},
	"after TLS login": {"Check for mail first, with SSL/TLS or STARTTLS, then send within %d minutes.", "先にメールをSSL/TLSまたはSTARTTLSで受信し、その後%d分以内に送信してください。"},
	"needs address":   {"This depends on the server's address.", "サーバーのアドレスによって異なります。"},
}
