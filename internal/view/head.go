package view

import (
	"fmt"
	"regexp"
	"strconv"

	op25bv1 "op25b/proto/op25b/v1"
)

// headForm is the form of a head of the audit chain, as the commands (NUMBER:HASH) and the NOC's page (NUMBER HASH) show it.
var headForm = regexp.MustCompile(`^\s*([0-9]+)(?:\s*:\s*|\s+)([0-9a-f]{64})\s*$`)

// ParseHead reads a head of the audit chain in the form NUMBER:HASH or NUMBER HASH. ok is false for any other text, and for a number that is 0 or too
// large.
func ParseHead(text string) (seq uint64, hash string, ok bool) {
	parts := headForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, "", false
	}
	seq, err := strconv.ParseUint(parts[1], 10, 64)
	return seq, parts[2], err == nil && seq > 0
}

// OtherHead says in a language, "en" or "ja", that a chain does not have a head that a person gave, although its records fit each other. seq is the
// number of the head, and last that of the chain's last record. The head can be mistyped, and the chain can have been rewritten as a whole.
func OtherHead(lang string, seq, last uint64) string {
	switch ja := lang == "ja"; {
	case seq > last && ja:
		return fmt.Sprintf("%d番の記録はありません。監査記録は%d番で終わっています。記録どうしの整合性に問題はありません。入力の誤り（「番号 ハッシュ」または「番号:ハッシュ」の形式で、表示されたとおりに入力してください）か、末尾を控えた後に、復元などで新しい記録が失われたかのいずれかです。", seq, last)
	case seq > last:
		return fmt.Sprintf("There is no record %d: the chain ends at record %d. The records themselves fit each other. Either the head was entered wrongly (it must be NUMBER HASH or NUMBER:HASH, as it was shown), or newer records were removed after the head was noted, for example by a restore.", seq, last)
	case ja:
		return fmt.Sprintf("入力された末尾は、%d番の記録のものと一致しません。記録どうしの整合性に問題はありません。入力の誤り（「番号 ハッシュ」または「番号:ハッシュ」の形式で、表示されたとおりに入力してください）か、末尾を控えた後に監査記録全体が書き換えられたかのいずれかです。", seq)
	}
	return fmt.Sprintf("The head that was entered is not that of record %d. The records themselves fit each other. Either the head was entered wrongly (it must be NUMBER HASH or NUMBER:HASH, as it was shown), or the chain was rewritten as a whole after the head was noted.", seq)
}

// changedChain says that the records of a chain do not fit each other.
func changedChain(r *op25bv1.VerifyResponse) string {
	return fmt.Sprintf("The chain was changed. The first wrong record is number %d: %s", r.BrokenAt, plain(r.Broken))
}
