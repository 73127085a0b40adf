package view

import (
	"fmt"

	op25bv1 "op25b/proto/op25b/v1"
)

// stateNamesJa and reasonTextsJa are stateNames and reasonTexts in Japanese, for pages.
var stateNamesJa = map[op25bv1.SwitchState]string{
	op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED:  "不明",
	op25bv1.SwitchState_SWITCH_STATE_UNKNOWN:      "不明",
	op25bv1.SwitchState_SWITCH_STATE_CONNECTING:   "接続中",
	op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED: "切断",
	op25bv1.SwitchState_SWITCH_STATE_BACKUP:       "待機",
	op25bv1.SwitchState_SWITCH_STATE_CONVERGING:   "反映中",
	op25bv1.SwitchState_SWITCH_STATE_CONVERGED:    "反映済み",
	op25bv1.SwitchState_SWITCH_STATE_FAILED:       "失敗",
	op25bv1.SwitchState_SWITCH_STATE_NO_PHASE:     "フェーズなし",
	op25bv1.SwitchState_SWITCH_STATE_HELD:         "保留",
}

var reasonTextsJa = map[op25bv1.SwitchReason]string{
	op25bv1.SwitchReason_SWITCH_REASON_UNSPECIFIED: "理由は報告されていません",

	op25bv1.SwitchReason_SWITCH_REASON_DIALING:             "コントローラーが接続しています",
	op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE:         "スイッチに到達できません",
	op25bv1.SwitchReason_SWITCH_REASON_TLS_REFUSED:         "TLSが拒否されました",
	op25bv1.SwitchReason_SWITCH_REASON_ARBITRATION_REFUSED: "アービトレーションが拒否されました",
	op25bv1.SwitchReason_SWITCH_REASON_UNKNOWN_DEVICE:      "スイッチはこのデバイスIDまたはロールを知りません",
	op25bv1.SwitchReason_SWITCH_REASON_STREAM_LOST:         "接続が失われました",
	op25bv1.SwitchReason_SWITCH_REASON_SESSION_CLOSED:      "セッションが閉じられました",
	op25bv1.SwitchReason_SWITCH_REASON_SESSION_FAILED:      "セッションが失敗しました",
	op25bv1.SwitchReason_SWITCH_REASON_OTHER_PRIMARY:       "別のストアのコントローラーがプライマリーです",
	op25bv1.SwitchReason_SWITCH_REASON_DEMOTED:             "別のコントローラーによりバックアップになりました",
	op25bv1.SwitchReason_SWITCH_REASON_NO_PRIMARY:          "プライマリーがいません。スイッチはより大きいelection idを見ています",
	op25bv1.SwitchReason_SWITCH_REASON_OUTRANKED:           "スイッチはより大きいelection idを見ています",

	op25bv1.SwitchReason_SWITCH_REASON_ELECTED:        "コントローラーがプライマリーになったため、スイッチを読み出しています",
	op25bv1.SwitchReason_SWITCH_REASON_INTENT:         "ポリシーまたはインベントリーが変わりました",
	op25bv1.SwitchReason_SWITCH_REASON_PHASE:          "フェーズが有効化されたか、前のフェーズに戻されました",
	op25bv1.SwitchReason_SWITCH_REASON_DATE:           "予定の日時になりました",
	op25bv1.SwitchReason_SWITCH_REASON_DRIFT:          "ほかの書き込みまたは再起動により、スイッチの内容が変わりました",
	op25bv1.SwitchReason_SWITCH_REASON_RESTORED:       "以前のリビジョンに戻されました",
	op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED:      "書き込みは不要でした",
	op25bv1.SwitchReason_SWITCH_REASON_WRITTEN:        "差分が書き込まれました",
	op25bv1.SwitchReason_SWITCH_REASON_STORE_REPLACED: "ストアが置き換えられました",
	op25bv1.SwitchReason_SWITCH_REASON_DATE_HELD:      "コントローラーの時計が疑わしいため、予定の日時の変更を保留しています",
	op25bv1.SwitchReason_SWITCH_REASON_NO_CLOCK:       "スイッチの時計を読み出せないため、適用除外はコントローラーがないと終了しません",
	op25bv1.SwitchReason_SWITCH_REASON_HOLD_RELEASED:  "保守のための保留が解除されました",

	op25bv1.SwitchReason_SWITCH_REASON_NO_ROOM:            "テーブルが満杯です",
	op25bv1.SwitchReason_SWITCH_REASON_PIPELINE_REFUSED:   "パイプラインが拒否されました",
	op25bv1.SwitchReason_SWITCH_REASON_COMPILE:            "このスイッチ向けにコンパイルできません",
	op25bv1.SwitchReason_SWITCH_REASON_CONFIG:             "セッションを設定できません",
	op25bv1.SwitchReason_SWITCH_REASON_NO_HIGHER_ELECTION: "より大きいelection idを得られません",
	op25bv1.SwitchReason_SWITCH_REASON_NOT_CONVERGED:      "書き込んだ内容がスイッチにありません",
	op25bv1.SwitchReason_SWITCH_REASON_WRITE_REFUSED:      "更新が拒否されました",
	op25bv1.SwitchReason_SWITCH_REASON_READ_FAILED:        "スイッチを読み出せません",
	op25bv1.SwitchReason_SWITCH_REASON_PHASE_ONLY:         "フェーズは有効ですが、文書の内容がスイッチに入りません",
	op25bv1.SwitchReason_SWITCH_REASON_DEVIATES:           "パケットを文書のとおりに扱いません",

	op25bv1.SwitchReason_SWITCH_REASON_NO_PHASE: "まだどのフェーズも始まっていません",

	op25bv1.SwitchReason_SWITCH_REASON_MAINTENANCE: "保守のため保留されています",

	op25bv1.SwitchReason_SWITCH_REASON_NEVER_REPORTED: "どのコントローラーも状態を報告していません",
	op25bv1.SwitchReason_SWITCH_REASON_OWNER_GONE:     "担当のコントローラーがなくなり、次の担当はまだいません。スイッチの内容は残っています",
	op25bv1.SwitchReason_SWITCH_REASON_RELEASED:       "担当のコントローラーが手放し、次の担当はまだいません。スイッチの内容は残っています",
	op25bv1.SwitchReason_SWITCH_REASON_TAKEN_OVER:     "別のコントローラーが担当になり、まだ状態を報告していません",
	op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED:  "担当のコントローラーがしばらく状態を確認していません",
}

// State returns the name of a state in a language, "en" or "ja".
func State(lang string, s op25bv1.SwitchState) string {
	if text, ok := stateNamesJa[s]; ok && lang == "ja" {
		return text
	}
	return stateText(s)
}

// A Said is a text in the language of a page, with a detail that is in English on every page. Either may be empty.
type Said struct{ Text, Detail string }

// in joins a text and its detail.
func (s Said) in(lang string) string {
	switch {
	case s.Detail == "":
		return s.Text
	case lang == "ja":
		return s.Text + "：" + s.Detail
	}
	return s.Text + ": " + s.Detail
}

// Why returns the reason for a switch's state in a language, "en" or "ja". It returns an empty string for a converged switch.
func Why(lang string, s *op25bv1.SwitchStatus) string { return Because(lang, s).in(lang) }

// Because is like Why. In Japanese, it keeps the details apart, which are in English.
func Because(lang string, s *op25bv1.SwitchStatus) Said {
	text, ok := reasonTextsJa[s.GetReason()]
	switch {
	case lang != "ja" || s.Converged:
		return Said{Text: why(s)}
	case s.State == op25bv1.SwitchState_SWITCH_STATE_CONVERGED:
		return Said{Text: fmt.Sprintf("コントローラーはリビジョン%dをまだ読み出していません", s.Wanted)}
	case !ok:
		text = s.GetReason().String()
	}
	if h := s.Hold; h != nil {
		return Said{text, heldBy(s)}
	}
	return Said{text, s.Detail}
}

// Reason returns the text of a reason in a language, "en" or "ja".
func Reason(lang string, r op25bv1.SwitchReason) string {
	if text, ok := reasonTextsJa[r]; ok && lang == "ja" {
		return text
	}
	return reasonText(r)
}

// collectionNamesJa and collectionReasonsJa are collectionNames and collectionReasons in Japanese, for pages.
var collectionNamesJa = map[op25bv1.CollectionState]string{
	op25bv1.CollectionState_COLLECTION_STATE_UNSPECIFIED:  "不明",
	op25bv1.CollectionState_COLLECTION_STATE_DISCONNECTED: "切断",
	op25bv1.CollectionState_COLLECTION_STATE_CONNECTING:   "接続中",
	op25bv1.CollectionState_COLLECTION_STATE_CONNECTED:    "受信開始",
	op25bv1.CollectionState_COLLECTION_STATE_SYNCED:       "最新",
	op25bv1.CollectionState_COLLECTION_STATE_STALE:        "古い値",
	op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE:    "不明",
	op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED:    "不明",
}

var collectionReasonsJa = map[op25bv1.CollectionReason]string{
	op25bv1.CollectionReason_COLLECTION_REASON_UNSPECIFIED:     "最初の値を受信しています",
	op25bv1.CollectionReason_COLLECTION_REASON_SCHEDULED:       "最初の接続を予定しています",
	op25bv1.CollectionReason_COLLECTION_REASON_DIALING:         "gNMIサーバーに接続しています",
	op25bv1.CollectionReason_COLLECTION_REASON_UNREACHABLE:     "gNMIサーバーに到達できません",
	op25bv1.CollectionReason_COLLECTION_REASON_REFUSED:         "gNMIサーバーが要求を拒否しました",
	op25bv1.CollectionReason_COLLECTION_REASON_UNSUPPORTED:     "gNMIサーバーに共通のエンコーディングがありません",
	op25bv1.CollectionReason_COLLECTION_REASON_ENDED:           "スイッチが購読を終了しました",
	op25bv1.CollectionReason_COLLECTION_REASON_SILENT:          "予定の値が届いていません",
	op25bv1.CollectionReason_COLLECTION_REASON_INVALID:         "不正または大きすぎるメッセージが届きました",
	op25bv1.CollectionReason_COLLECTION_REASON_TLS:             "接続のTLSファイルを使えません",
	op25bv1.CollectionReason_COLLECTION_REASON_OTHER_OWNER:     "別のコントローラーが収集しています",
	op25bv1.CollectionReason_COLLECTION_REASON_NO_OWNER:        "担当のコントローラーがないため、収集されていません",
	op25bv1.CollectionReason_COLLECTION_REASON_OWNER_NOT_ASKED: "担当のコントローラーに問い合わせできません",
}

// Collection returns the state of the collection of a switch's counters in a language, "en" or "ja". It includes the reason unless the
// values are current. The details are in English.
func Collection(lang string, c *op25bv1.SwitchCounters) Said {
	state, reason := collectionText(c.State), collectionReason(c.Reason)
	if lang == "ja" {
		if text, ok := collectionNamesJa[c.State]; ok {
			state = text
		}
		if text, ok := collectionReasonsJa[c.Reason]; ok {
			reason = text
		}
	}
	if current(c) {
		return Said{Text: state}
	}
	return Said{Said{state, reason}.in(lang), c.Detail}
}

// Rate formats a number per second. It returns an empty string if the number is not known.
func Rate(r *float64) string { return rate(r) }
