package view

import (
	"testing"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestDetailsApart verifies that a Japanese reason and its English detail are kept apart.
func TestDetailsApart(t *testing.T) {
	lost := &op25bv1.SwitchStatus{State: op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, Reason: op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, Detail: "connection refused"}
	behind := &op25bv1.SwitchStatus{State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Wanted: 7}
	newer := &op25bv1.SwitchStatus{State: op25bv1.SwitchState_SWITCH_STATE_FAILED, Reason: 999, Detail: "x"}
	for _, c := range []struct {
		lang  string
		s     *op25bv1.SwitchStatus
		want  Said
		whole string
	}{
		{"ja", lost, Said{"スイッチに到達できません", "connection refused"}, "スイッチに到達できません：connection refused"},
		{"en", lost, Said{"the switch is unreachable: connection refused", ""}, "the switch is unreachable: connection refused"},
		{"ja", behind, Said{"コントローラーはリビジョン7をまだ読み出していません", ""}, "コントローラーはリビジョン7をまだ読み出していません"},
		{"en", behind, Said{"its controller has not read revision 7 yet", ""}, "its controller has not read revision 7 yet"},
		{"ja", newer, Said{"999", "x"}, "999：x"},
		{"ja", &op25bv1.SwitchStatus{Converged: true}, Said{}, ""},
	} {
		if got, whole := Because(c.lang, c.s), Why(c.lang, c.s); got != c.want || whole != c.whole {
			t.Errorf("%v in %s: %q, %q", c.s, c.lang, got, whole)
		}
	}
	stale := &op25bv1.SwitchCounters{State: op25bv1.CollectionState_COLLECTION_STATE_STALE, Reason: op25bv1.CollectionReason_COLLECTION_REASON_SILENT, Detail: "10 s"}
	if got := Collection("ja", stale); got != (Said{"古い値：予定の値が届いていません", "10 s"}) {
		t.Errorf("%q", got)
	}
	if got := Collection("en", stale).in("en"); got != "stale: it sends no samples, although they are due: 10 s" {
		t.Errorf("%q", got)
	}
}

// TestStatesAndReasonsInJapanese verifies that every state and reason has a Japanese text.
func TestStatesAndReasonsInJapanese(t *testing.T) {
	for s := range stateNames {
		if stateNamesJa[s] == "" {
			t.Errorf("%v has no Japanese name", s)
		}
	}
	for r := range reasonTexts {
		if reasonTextsJa[r] == "" {
			t.Errorf("%v has no Japanese text", r)
		}
	}
	for s := range collectionNames {
		if collectionNamesJa[s] == "" {
			t.Errorf("%v has no Japanese name", s)
		}
	}
	for r := range collectionReasons {
		if collectionReasonsJa[r] == "" {
			t.Errorf("%v has no Japanese text", r)
		}
	}
}
