package abuse

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		was  Class
		f    Features
		want Class
	}{
		{"nothing", Unclassified, Features{}, Unclassified},
		{"one attempt may be a scan", Unclassified, Features{Attempts: 1, Servers: 1, Days: 1}, Unclassified},
		{"a mail program", Unclassified, Features{Attempts: 2, Servers: 1, Days: 1}, MisconfiguredClient},
		{"a mail program with three accounts", Unclassified, Features{Attempts: 40, Servers: 3, Days: 7}, MisconfiguredClient},
		{"four servers are too many for a mail program", Unclassified, Features{Attempts: 40, Servers: 4, Days: 7}, Unclassified},
		{"a mail program with a server more", MisconfiguredClient, Features{Attempts: 40, Servers: 5, Days: 7}, MisconfiguredClient},
		{"a mail program no more", MisconfiguredClient, Features{Attempts: 40, Servers: 6, Days: 7}, Unclassified},
		{"an office", Unclassified, Features{Attempts: 100, Servers: 8, Days: 3}, OwnServer},
		{"an office on its second day", Unclassified, Features{Attempts: 100, Servers: 20, Days: 2}, Unclassified},
		{"an office in a quiet week", OwnServer, Features{Attempts: 10, Servers: 4, Days: 2}, OwnServer},
		{"an office that stopped", OwnServer, Features{Attempts: 3, Servers: 3, Days: 1}, MisconfiguredClient},
		{"just below a bot", Unclassified, Features{Attempts: 49, Servers: 49, Days: 1}, Unclassified},
		{"a bot", Unclassified, Features{Attempts: 50, Servers: 50, Days: 1}, BotLike},
		{"a server that becomes a bot", OwnServer, Features{Attempts: 900, Servers: 300, Days: 7}, BotLike},
		{"a bot that calms down", BotLike, Features{Attempts: 25, Servers: 25, Days: 1}, BotLike},
		{"a bot that was cleaned", BotLike, Features{Attempts: 24, Servers: 24, Days: 1}, Unclassified},
		{"triangular spam", Unclassified, Features{Unsolicited: 20}, BotLike},
		{"answers after a restart", Unclassified, Features{Unsolicited: 19}, Unclassified},
		{"triangular spam that calms down", BotLike, Features{Unsolicited: 5}, BotLike},
		{"triangular spam that ended", BotLike, Features{Unsolicited: 4}, Unclassified},
	} {
		if got := Classify(c.was, c.f); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		class Class
		f     Features
		want  []string
	}{
		{BotLike, Features{Servers: 120, Unsolicited: 7, Hours: 1<<24 - 1}, []string{
			"120 servers in a day; a bot from 50", "7 answers without a SYN in a day; a bot from 20", "active in 24 of 24 hours",
		}},
		{OwnServer, Features{Servers: 9, Days: 4, Hours: 0b11}, []string{"9 servers in a day on 4 of 7 days", "active in 2 of 24 hours"}},
		{MisconfiguredClient, Features{Servers: 1, Hours: 1}, []string{"at most 1 server in a day", "active in 1 of 24 hours"}},
		{Unclassified, Features{}, nil},
	} {
		if got := Reasons(c.class, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.class, got, c.want)
		}
	}
}

func drawFeatures(t *rapid.T) Features {
	number := rapid.OneOf(rapid.Uint64Range(0, 10), rapid.Uint64Range(15, 60))
	return Features{
		Attempts: number.Draw(t, "attempts"), Servers: number.Draw(t, "servers"), Unsolicited: number.Draw(t, "unsolicited"),
		Days: rapid.IntRange(0, ClassDays).Draw(t, "days"),
	}
}

// TestClassifyIsIdempotent verifies that the same features never change a class twice.
func TestClassifyIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFeatures(t)
		first := Classify(Class(rapid.IntRange(0, int(numClasses)-1).Draw(t, "was")), f)
		if second := Classify(first, f); second != first {
			t.Fatalf("%+v: %v, then %v", f, first, second)
		}
	})
}

// TestClassDoesNotFlap verifies that a class is stable if the activity of a line varies within a band that is narrower than the distance
// between the thresholds. Once the line has seen the whole band, its class never changes again.
func TestClassDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := drawFeatures(t)
		base.Attempts += ClientAttempts
		base.Days = max(base.Days, 0)
		var band []Features
		for _, more := range []uint64{0, 1, 2} { // The narrowest distance is that between the thresholds of a mail program, 3 and 5 servers.
			f := base
			f.Servers += more
			band = append(band, f)
		}
		class := Class(rapid.IntRange(0, int(numClasses)-1).Draw(t, "was"))
		for range 2 {
			for _, f := range band {
				class = Classify(class, f)
			}
		}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(band)-1), 1, 40).Draw(t, "sequence") {
			if next := Classify(class, band[i]); next != class {
				t.Fatalf("%+v: %v became %v", band[i], class, next)
			}
		}
	})
}
