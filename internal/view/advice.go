package view

import (
	"cmp"
	"fmt"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// adviceTexts are the sentences of Advice, in English and Japanese.
var adviceTexts = map[string][2]string{
	"now":         {"In the mail program, set the port of the outgoing server to 465 or 587, and use SMTP authentication.", "メールソフトの送信サーバーのポート番号を465番または587番に変更し、SMTP認証を有効にしてください。"},
	"before":      {"Before then, set the port of the outgoing server in the mail program to 465 or 587, and use SMTP authentication.", "それまでに、メールソフトの送信サーバーのポート番号を465番または587番に変更し、SMTP認証を有効にしてください。"},
	"own server":  {"A mail server or a device on this line that sends by itself: send through %s.", "メールサーバーや複合機などの機器から直接送信している場合は、%sを経由するように設定してください。"},
	"relay":       {"our own mail relay", "当社の送信サーバー"},
	"relay named": {"our own mail relay “%[1]s” (%[2]s, ports %[3]s)", "当社の送信サーバー「%[1]s」（%[2]s、%[3]s番ポート）"},
	"relay asked": {"our own mail relay “%[1]s”, ports %[3]s (for its name, see the page for customers or ask the mail team)", "当社の送信サーバー「%[1]s」（%[3]s番ポート。サーバー名はお客さま向けページに記載、またはメール担当へ確認）"},
	"possible":    {"Or ask for an exemption for this line.", "または、適用除外をお申し込みください。"},
	"dynamic":     {"This line cannot have an exemption, because its address may change with each connection.", "接続のたびにアドレスが変わることがある回線のため、適用除外とすることはできません。"},
	"no-address":  {"This line cannot have an exemption before its address is in the inventory.", "回線のアドレスが登録されるまで、適用除外とすることはできません。"},
}

// Stops reports whether an outcome of a check stops a connection.
func Stops(outcome string) bool { return outcome == "rejected" || outcome == "blocked" }

// Worst returns the first result with the worst outcome of an answer.
func Worst(r *op25bv1.CheckResponse) *op25bv1.CheckResult {
	for _, result := range r.Results {
		if result.Outcome == r.Outcome {
			return result
		}
	}
	return nil
}

// Advice returns sentences in a language, "en" or "ja", that say what to do if port 25 is stopped, or will be: for a mail program, and for a mail
// server or a device on the line. It returns nil for any other answer. It names the addresses of the own servers, and offers an exemption only if
// the line can have one.
func Advice(lang string, r *op25bv1.CheckResponse) []string { return advice(lang, "relay named", r) }

// CustomerAdvice returns the sentences of Advice as the support desk reads them out: without the addresses of the own servers.
func CustomerAdvice(lang string, r *op25bv1.CheckResponse) []string {
	return advice(lang, "relay asked", r)
}

func advice(lang, relay string, r *op25bv1.CheckResponse) []string {
	in := 0
	comma := ", "
	if lang == "ja" {
		in, comma = 1, "、"
	}
	program := "now"
	switch next := Worst(r).GetNext(); {
	case r.Port != 25:
		return nil
	case Stops(r.Outcome):
	case next != nil && Stops(next.Outcome):
		program = "before"
	default:
		return nil
	}
	var relays []string
	for _, s := range r.Advice.GetOwnServers() {
		listed := strings.ReplaceAll(ports(s.Ports), ",", comma)
		relays = append(relays, fmt.Sprintf(adviceTexts[relay][in], cmp.Or(s.Title, s.Name), strings.Join(s.Prefixes, comma), listed))
	}
	if len(relays) == 0 {
		relays = []string{adviceTexts["relay"][in]}
	}
	device := fmt.Sprintf(adviceTexts["own server"][in], strings.Join(relays, comma))
	if exemption := adviceTexts[r.Advice.GetExemption()][in]; exemption != "" {
		if lang != "ja" {
			device += " "
		}
		device += exemption
	}
	return []string{adviceTexts[program][in], device}
}
