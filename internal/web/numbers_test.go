package web

import "testing"

// TestPercent verifies that a share is rounded to the nearest tenth, but neither to 100 % nor to 0 %.
func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, all int
		want      string
	}{
		{2, 3, "66.7 %"},
		{1, 3, "33.3 %"},
		{1, 8, "12.5 %"},
		{0, 7, "0.0 %"},
		{7, 7, "100.0 %"},
		{9_999, 10_000, "99.9 %"},
		{999_999, 1_000_000, "99.9 %"},
		{1, 1_000_000, "0.1 %"},
		{1, 10_000, "0.1 %"},
		{999, 1000, "99.9 %"},
		{0, 0, "-"},
		{1, 1, "100.0 %"},
		{1 << 40, 1<<40 + 1, "99.9 %"},
		{8, 7, "114.3 %"},
	} {
		if got := percent(c.part, c.all); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.part, c.all, got, c.want)
		}
	}
}

// TestGrammar verifies that numbers and their verbs agree.
func TestGrammar(t *testing.T) {
	en, ja := base{Lang: "en"}, base{Lang: "ja"}
	for got, want := range map[string]string{
		en.headline(1, 1, 7):         "1 of 1 switch is what the intent says, revision 7",
		en.headline(0, 1, 7):         "0 of 1 switch is what the intent says, revision 7",
		en.headline(1, 3, 7):         "1 of 3 switches is what the intent says, revision 7",
		en.headline(2, 3, 7):         "2 of 3 switches are what the intent says, revision 7",
		en.headline(0, 3, 7):         "0 of 3 switches are what the intent says, revision 7",
		ja.headline(1, 1, 7):         "1台中1台のスイッチが意図（リビジョン7）どおりです",
		ja.headline(1, 3, 7):         "3台中1台のスイッチが意図（リビジョン7）どおりです",
		ja.headline(2, 3, 7):         "3台中2台のスイッチが意図（リビジョン7）どおりです",
		en.headlineOfLines(1, 1):     "the phase is confirmed for 1 of 1 line",
		en.headlineOfLines(1, 2_000): "the phase is confirmed for 1 of 2,000 lines; 1,999 not confirmed",
		en.headlineOfLines(0, 2):     "the phase is confirmed for 0 of 2 lines; 2 not confirmed",
		en.headlineOfLines(2, 2):     "the phase is confirmed for 2 of 2 lines",
		ja.headlineOfLines(1, 2):     "2回線中1回線でフェーズを確認済み；1回線は未確認",
		en.sum(1, 0):                 "1 packet",
		en.sum(1, 1):                 "1 packet, in a gap",
		en.sum(2, 1):                 "2 packets, 1 of them in gaps",
		en.sum(0, 0):                 "0 packets",
		en.switches(1):               "1 switch",
		en.switches(0):               "0 switches",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestDriftTime verifies that the times of repairs are shown in the policy's time zone.
func TestDriftTime(t *testing.T) {
	b := base{Zone: zone("+09:00")}
	for text, want := range map[string]driftRow{
		"2026-11-29T12:20:00Z missing rule 7":        {"2026-11-29 21:20:00 +0900", "missing rule 7"},
		"2026-11-29T13:20:00+01:00 another pipeline": {"2026-11-29 21:20:00 +0900", "another pipeline"},
		"missing rule 7": {"", "missing rule 7"},
		"":               {},
	} {
		if got := b.drift(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
