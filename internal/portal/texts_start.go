package portal

import "op25b/internal/page"

// startTexts are the texts of the first page.
var startTexts = page.Texts{
	"start title": {"Does port 25 blocking affect you?", "送信メールへの{影響|えいきょう}の確認"},
	"start lead": {
		"To stop spam, connections from our lines to port 25 of mail servers are blocked step by step (Outbound Port 25 Blocking, OP25B). Most customers are not affected. Answer two questions to find out whether you are affected and which settings to use.",
		"迷惑メールを防ぐため、当社の回線からメールサーバーの25番ポートへの接続を、段階的に制限します（OP25B：Outbound Port 25 Blocking）。ほとんどのお客さまには影響ありません。次の2つの質問にお答えいただくと、影響の有無と必要な設定をご案内します。",
	},
	"your line":       {"1. Your line", "1. ご利用の回線"},
	"this own line":   {"The line that I am using now", "今ご利用中のこの回線"},
	"other line":      {"Another line, or I do not know", "そのほかの回線、または分からない"},
	"own line hint":   {"We identify your line by your IP address. We do not record the address.", "接続元のアドレスから回線を判別します。アドレスは記録しません。"},
	"no own line":     {"We cannot identify your line automatically at present. Please choose your type of line.", "ただいま回線を自動で判別できません。回線の種類をお選びください。"},
	"your use":        {"2. How you send mail", "2. メールの送り方"},
	"use webmail":     {"In a browser (webmail), or in the mail service's own app, such as the Gmail app with a Gmail address", "ブラウザー（ウェブメール）、またはメールサービス自身のアプリで使う（GmailのアドレスをGmailアプリで使う場合など）"},
	"webmail hint":    {"Mail on an iPhone, Outlook and Thunderbird are mail programs, also with an iCloud or Gmail address. If you use one of them, choose “A mail program”.", "iPhoneの「メール」、Outlook、Thunderbirdなどはメールソフトです。iCloudやGmailのアドレスをこれらでお使いの場合も、下の「メールソフト」をお選びください。"},
	"which line":      {"Which line do you ask about?", "どの回線についての確認ですか"},
	"own not here":    {"You are not connected through a line of ours that we can identify at present, for example because you use the Wi-Fi of another line at home or in an office. Choose the line that you ask about.", "今は、当社で判別できる回線をお使いではないようです（自宅や職場の、ほかの回線のWi-Fiなど）。確認したい回線をお選びください。"},
	"pick webmail":    {"Mobile carriers and webmail", "携帯電話会社のメール・ウェブメール"},
	"pick others":     {"Internet providers, rental servers, mail for companies", "プロバイダー・レンタルサーバー・会社向けメール"},
	"use own":         {"A mail program, printer or scanner, with our mail address", "メールソフトや複合機・スキャナーで、当社のメールアドレスを使う"},
	"use own at":      {"A mail program, printer or scanner, with our mail address (%s)", "メールソフトや複合機・スキャナーで、当社のメールアドレス（%s）を使う"},
	"use provider":    {"A mail program, printer or scanner, with the mail address of another provider, a company or a school", "メールソフトや複合機・スキャナーで、他社・会社・学校のメールアドレスを使う"},
	"use server":      {"My own mail server on this line", "回線に接続した自分のメールサーバーから送る"},
	"your mail":       {"Your mail address, or the part after the @", "メールアドレス、または@より後ろの部分"},
	"mail hint":       {"For example taro@example.jp or example.jp. We use only the part after the @, and do not record it. If you enter an address and choose a provider, the address counts.", "例：taro@example.jp、example.jp。@より後ろだけを使い、記録しません。提供元も選んだ場合は、アドレスのほうを使います。"},
	"or pick":         {"Or choose the provider, without an address", "または、メールの提供元を選ぶ（アドレスの入力は不要です）"},
	"pick none":       {"(not in this list)", "（一覧にない）"},
	"pick one":        {"(please choose)", "（お選びください）"},
	"pick provider":   {"Please enter your mail address or the part after the @, or choose the provider from the list.", "メールアドレスまたは@より後ろの部分を入力するか、一覧から提供元をお選びください。"},
	"fixed hint":      {"Only if you ordered a fixed IP address. If the papers of your contract name no fixed IP address, choose “%s”.", "固定IPアドレスをお申し込みの方だけです。ご契約の書類に固定IPアドレスの記載がなければ、「%s」をお選びください。"},
	"check":           {"Show the answer", "結果を見る"},
	"have code":       {"Did our support give you a number?", "サポートから番号を案内された方"},
	"code":            {"Number of the answer", "回答の番号"},
	"open code":       {"Show this answer", "この回答を見る"},
	"own unknown":     {"Your IP address does not belong to a line that we can identify. You may be using another network at present. Please choose your type of line.", "接続元のアドレスは、当社で判別できる回線のものではありません。別のネットワークをご利用中の可能性があります。回線の種類をお選びください。"},
	"own unavailable": {"We cannot identify your line at present. Please choose your type of line.", "ただいまお客さまの回線を判別できません。回線の種類をお選びください。"},
	"pick line":       {"Please choose your line.", "回線をお選びください。"},
	"pick use":        {"Please choose how you send mail.", "メールの送り方をお選びください。"},
	"wrong mail":      {"This is not a mail address or a domain. Please write it as in taro@example.jp or example.jp.", "メールアドレスまたはドメインの形式が正しくありません。taro@example.jp または example.jp のように入力してください。"},
}
