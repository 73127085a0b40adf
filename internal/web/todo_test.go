package web_test

import (
	"strings"
	"testing"
	"time"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestTodo verifies that the overview and the page of a switch say what to do about each state that needs attention, once for each state, and that a
// switch goes on filtering without a controller if it runs. A page without such a switch has neither.
func TestTodo(t *testing.T) {
	f := &fakeAPI{phases: &op25bv1.ListPhasesResponse{}, list: threeSwitches(time.Now()), counters: func(*op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error) {
		return &op25bv1.ListCountersResponse{}, nil
	}}
	const keeps, keepsJA = "A switch that runs keeps its last state and goes on filtering while no controller reaches it.", "動いているスイッチは、コントローラーがつながらない間も最後の状態のままフィルタリングを続けます"
	const stopped, stoppedJA = "A switch that does not run, or that restarted empty, passes no frame at all.", "再起動して空になったスイッチは、フレームをまったく通しません"
	for state, want := range map[op25bv1.SwitchState][2]string{
		op25bv1.SwitchState_SWITCH_STATE_FAILED:       {"Read the reason", "理由を読み"},
		op25bv1.SwitchState_SWITCH_STATE_UNKNOWN:      {"Check that the controllers run", "コントローラーが動いていること"},
		op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED:  {"Check that the controllers run", "コントローラーが動いていること"},
		op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED: {"Check that the switch runs", "スイッチが動いていること"},
		op25bv1.SwitchState_SWITCH_STATE_BACKUP:       {"Find the other controller", "ほかのコントローラーを探して"},
		op25bv1.SwitchState_SWITCH_STATE_CONNECTING:   {"Wait: the controller", "お待ちください"},
		op25bv1.SwitchState_SWITCH_STATE_CONVERGING:   {"Wait: the controller", "お待ちください"},
		op25bv1.SwitchState_SWITCH_STATE_CONVERGED:    {"Wait: the controller", "お待ちください"},
		op25bv1.SwitchState_SWITCH_STATE_NO_PHASE:     {"Wait for the date", "最初のフェーズの開始を待つ"},
		op25bv1.SwitchState_SWITCH_STATE_HELD:         {"Nothing is written to the switch until the work", "作業が終わるまで"},
	} {
		for _, s := range f.list.Switches[1:] {
			s.State, s.Converged = state, false
		}
		for _, path := range []string{"/", "/switch/edge-west"} {
			if path != "/" { // the API has one switch in its answer
				f.list.Switches[0], f.list.Switches[1] = f.list.Switches[1], f.list.Switches[0]
			}
			for i, lang := range []string{"en", "ja"} {
				page := pageOf(t, f, path, lang)
				wantTexts(t, page, []string{keeps, keepsJA}[i], []string{stopped, stoppedJA}[i])
				if n := strings.Count(page, want[i]); n != 1 {
					t.Errorf("%s in %s, %v: %q is there %d times, want once", path, lang, state, want[i], n)
				}
			}
			if path != "/" {
				f.list.Switches[0], f.list.Switches[1] = f.list.Switches[1], f.list.Switches[0]
			}
		}
	}
	f.list.Switches = f.list.Switches[:1]
	f.list.Switches[0].Revision = 6 // still converged, at the revision before
	wantTexts(t, pageOf(t, f, "/", "en"), keeps, "<dt>converged</dt><dd>Wait: the controller is at work.")
	f.list.Switches[0].Revision = 7
	lacksTexts(t, pageOf(t, f, "/", "en"), keeps)
	lacksTexts(t, pageOf(t, f, "/switch/edge-east", "en"), keeps, "What to do now")
}
