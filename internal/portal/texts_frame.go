package portal

import "op25b/internal/page"

// frameTexts are the texts of the frame of every page, and of errors.
var frameTexts = page.Texts{
	"site":           {"Sending mail from your line", "メール送信のご案内"},
	"skip":           {"Skip to the content", "本文へ移動"},
	"menu":           {"Pages", "ページ一覧"},
	"menu start":     {"Am I affected?", "影響の確認"},
	"menu test":      {"Check my connection", "接続の確認"},
	"menu programme": {"Schedule", "実施の予定"},
	"language":       {"日本語", "English"},
	"other language": {"ja", "en"},
	"revision":       {"This page is based on revision %[1]s of our policy, which was stored on %[2]s.", "このページは、%[2]sに登録された規制方針（第%[1]s版）にもとづいています。"},
	"last confirmed": {"Last contact with our management system: ", "管理システムとの最後の通信："},
	"not current": {
		"Our management system cannot be reached at present. This page shows what was last confirmed on %s, and may be out of date.",
		"ただいま管理システムに接続できません。%sに最後に確認した内容を表示しています。最新の状況と異なる場合があります。",
	},
	"problem":           {"We could not show the page", "ページを表示できません"},
	"back to start":     {"Back to the first page", "最初のページへ"},
	"no page":           {"There is no such page.", "お探しのページはありません。"},
	"no code":           {"No answer has this number. Please check the number, or begin again on the first page.", "この番号の回答はありません。番号をお確かめになるか、最初のページからやり直してください。"},
	"nothing published": {"There is no information yet, because our management system has not been reached so far. Please try again in a few minutes.", "管理システムにまだ接続できていないため、ご案内できる情報がありません。数分後にもう一度お試しください。"},
	"no answer now":     {"We cannot answer at present. Please try again in a few minutes.", "ただいま回答できません。数分後にもう一度お試しください。"},
	"form unread":       {"The form could not be read. Please begin again on the first page.", "入力内容を読み取れませんでした。最初のページからやり直してください。"},
}
