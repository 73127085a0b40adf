package web

import "op25b/internal/page"

// signInTexts are the texts of the form for a token, in English and Japanese.
var signInTexts = page.Texts{
	"sign in":     {"Sign in", "サインイン"},
	"token":       {"Token", "トークン"},
	"token hint":  {"The token that op25b token printed for you.", "op25b token が出力したトークンを入力してください。"},
	"wrong token": {"This token is not in the access file, or it has expired.", "このトークンはアクセスファイルにないか、期限切れです。"},
	"no role":     {"This token has no role.", "このトークンには役割がありません。"},
}
