package portal

import "op25b/internal/page"

// exportTexts are the texts of an export.
var exportTexts = page.Texts{
	"exported":          {"This page was written on %[2]s from revision %[1]s of our policy. It does not change by itself.", "このページは、規制方針（第%[1]s版）から%[2]sに作成したものです。自動では更新されません。"},
	"exported next":     {"The next change is on %s: from then on, this page may be out of date.", "次の変更は%sです。それ以降は、最新の状況と異なる場合があります。"},
	"exported then":     {"What this page says about the state of our switches was confirmed on %s.", "設備の状況は、%sに確認した内容です。"},
	"pick use title":    {"How do you send mail?", "メールの{送|おく}り{方|かた}"},
	"pick use lead":     {"Your line: %s. Please choose how you send mail.", "ご利用の回線：%s。メールの送り方をお選びください。"},
	"pick another line": {"Choose another line", "別の回線を選ぶ"},
}
