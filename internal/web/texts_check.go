package web

import "op25b/internal/page"

// checkTexts are the texts of the support desk's form, in English and Japanese.
var checkTexts = page.Texts{
	"from line":    {"Line (its name in the inventory)", "回線（インベントリーの名前）"},
	"from address": {"or its address", "またはアドレス"},
	"to server":    {"Server", "サーバー"},
	"to port":      {"Port", "ポート"},
	"mailbox":      {"or a mail address", "またはメールアドレス"},
	"at":           {"At (YYYY-MM-DD HH:MM, empty for now)", "日時（YYYY-MM-DD HH:MM、空欄は現在）"},
	"ask":          {"Ask the pipeline", "パイプラインで確認"},
	"answer":       {"Answer", "回答"},
	"check hint":   {"Give a line or its address, and a server with a port or a mail address.", "回線またはアドレスと、サーバーとポート、またはメールアドレスを入力してください。"},
}
