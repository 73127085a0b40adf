package web

import "op25b/internal/page"

// signInTexts are the texts of the form for a token, in English and Japanese.
var signInTexts = page.Texts{
	"sign in":              {"Sign in", "サインイン"},
	"token":                {"Token", "トークン"},
	"token hint":           {"The token that op25b token printed for you.", "op25b token が出力したトークンを入力してください。"},
	"wrong token":          {"This token is not in the access file, or it has expired.", "このトークンはアクセスファイルにないか、期限切れです。"},
	"sign in with":         {"Sign in with %s", "%s でサインイン"},
	"or a token":           {"Or with a token:", "またはトークンで："},
	"signed in as":         {"You are signed in as %s.", "%s としてサインインしました。"},
	"continue":             {"Continue", "続ける"},
	"provider unusable":    {"%s cannot be reached, or does not answer as it should. The log of the controller has the reason.", "%s に接続できないか、応答が正しくありません。原因はコントローラーのログに記録されています。"},
	"provider refused":     {"%s did not sign you in (%s).", "%s でサインインできませんでした（%s）。"},
	"answer invalid":       {"The answer of %s is not valid. The log of the controller has the reason.", "%s からの応答が無効です。原因はコントローラーのログに記録されています。"},
	"begin again":          {"This sign-in was not begun in this browser, or it took too long. Begin again.", "このブラウザーで始めたサインインではないか、時間がかかりすぎました。もう一度やり直してください。"},
	"too many sign-ins":    {"Too many people are signing in at the moment. Try again in a minute.", "サインインが集中しています。しばらくしてからもう一度お試しください。"},
	"no provider":          {"The access file has no OpenID Provider.", "アクセスファイルに OpenID プロバイダーの設定がありません。"},
	"no group with a role": {"%s has no role here. An administrator gives roles to groups in the access file.", "%s には役割がありません。役割は、管理者がアクセスファイルでグループに割り当てます。"},
	"no role":              {"This token has no role.", "このトークンには役割がありません。"},
}
