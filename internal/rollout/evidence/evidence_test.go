package evidence

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestLogOfFewEvents compares the evidence with the mixture as it is defined, added up as a product of predictions (the rule of succession).
func TestLogOfFewEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.01, 0.99).Draw(t, "share")
		events := rapid.SliceOfN(rapid.Bool(), 0, 60).Draw(t, "events")
		want, c := 0.0, Comparison{Share: share}
		for i, canary := range events {
			predicted := (prior*share + float64(c.Canary)) / (prior + float64(i))
			if canary {
				want += math.Log(predicted / share)
				c.Canary++
			} else {
				want += math.Log((1 - predicted) / (1 - share))
				c.Control++
			}
		}
		got, err := c.Log()
		if err != nil || math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
			t.Fatalf("Log of %+v is %v, %v; want %v", c, got, err, want)
		}
	})
}

// TestExpectationIsOne verifies what the promise of the test rests on: if there is no difference, the expectation of the evidence after n events is 1.
func TestExpectationIsOne(t *testing.T) {
	for _, share := range []float64{0.02, 0.25, 0.5, 0.9} {
		for _, n := range []int{0, 1, 7, 200} {
			sum := 0.0
			for x := 0; x <= n; x++ {
				log, err := Comparison{uint64(x), uint64(n - x), share}.Log()
				if err != nil {
					t.Fatal(err)
				}
				sum += math.Exp(log + logChoose(n, x) + float64(x)*math.Log(share) + float64(n-x)*math.Log1p(-share))
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("share %v, %d events: the expectation is %v, want 1", share, n, sum)
			}
		}
	}
}

func logChoose(n, k int) float64 {
	ln, _ := math.Lgamma(float64(n) + 1)
	lk, _ := math.Lgamma(float64(k) + 1)
	lr, _ := math.Lgamma(float64(n-k) + 1)
	return ln - lk - lr
}

// TestFalseAlarmsAndDelay simulates rollouts of one hour with a look every 10 s, in which the canary has 2 events in 10 s as long as nothing is wrong.
// It prints the share of false alarms beside that of a z-test at every look with the same nominal error, and the time until twice the rate is found.
func TestFalseAlarmsAndDelay(t *testing.T) {
	const (
		runs, looks = 4000, 360
		alpha       = 0.001
		rate        = 2.0
	)
	for _, share := range []float64{0.1, 0.5} {
		random := rand.New(rand.NewPCG(25, 587))
		control := rate * (1 - share) / share
		alarms, repeated := 0, 0
		for range runs {
			c, found, z := Comparison{Share: share}, false, false
			for range looks {
				c.Canary += poisson(random, rate)
				c.Control += poisson(random, control)
				found = found || worse(t, c, alpha)
				if n := float64(c.Canary + c.Control); n > 0 {
					z = z || (float64(c.Canary)-n*share)/math.Sqrt(n*share*(1-share)) > 3.09
				}
			}
			if found {
				alarms++
			}
			if z {
				repeated++
			}
		}
		t.Logf("share %v: false alarms in %d hours with a look every 10 s: %.3f %%, and %.2f %% by a z-test at every look", share, runs, 100*float64(alarms)/runs, 100*float64(repeated)/runs)
		// At most 0.1 % is promised. If it were exactly that, 11 or more alarms in 4,000 runs would have a probability below 0.3 %.
		if alarms > 10 {
			t.Errorf("share %v: %d false alarms in %d runs, and at most %v of them are promised", share, alarms, runs, alpha)
		}
		if repeated < 20*alarms || repeated < runs/100 {
			t.Errorf("share %v: a repeated z-test has %d false alarms of %d: this simulation shows no need for an e-process", share, repeated, runs)
		}
		const tries = 1000
		delay := 0
		for range tries {
			c, look := Comparison{Share: share}, 0
			for !worse(t, c, alpha) && look < looks {
				c.Canary += poisson(random, 2*rate)
				c.Control += poisson(random, control)
				look++
			}
			delay += 10 * look
		}
		t.Logf("share %v: twice the rate is found after %.0f s on average", share, float64(delay)/tries)
		if delay > tries*600 {
			t.Errorf("share %v: twice the rate is found after %.0f s, which is too late to stop a ring", share, float64(delay)/tries)
		}
	}
}

func worse(t *testing.T, c Comparison, alpha float64) bool {
	t.Helper()
	found, err := c.Worse(alpha)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// poisson draws from a Poisson distribution (Knuth, The Art of Computer Programming, volume 2, 3.4.1).
func poisson(random *rand.Rand, mean float64) (n uint64) {
	least := math.Exp(-mean)
	for p := random.Float64(); p > least; p *= random.Float64() {
		n++
	}
	return n
}

// TestFewerIsNotWorse verifies that a canary with fewer events than its share is never called worse.
func TestFewerIsNotWorse(t *testing.T) {
	if worse(t, Comparison{Canary: 0, Control: 100000, Share: 0.5}, 0.001) {
		t.Error("a canary without events is called worse")
	}
	if !worse(t, Comparison{Canary: 100000, Control: 0, Share: 0.5}, 0.001) {
		t.Error("a canary with all events is not called worse")
	}
}

// TestInvalid verifies the messages about arguments that describe no comparison.
func TestInvalid(t *testing.T) {
	for _, tc := range []struct {
		share, alpha float64
		want         string
	}{
		{0, 0.001, "not a comparison: the canary has the share 0 of the exposure, which must be more than 0 and less than 1"},
		{1, 0.001, "not a comparison: the canary has the share 1 of the exposure, which must be more than 0 and less than 1"},
		{math.NaN(), 0.001, "not a comparison: the canary has the share NaN of the exposure, which must be more than 0 and less than 1"},
		{0.5, 0, "not a comparison: alpha is 0, and must be more than 0 and less than 1"},
	} {
		if _, err := (Comparison{1, 1, tc.share}).Worse(tc.alpha); !errors.Is(err, ErrInvalid) || err.Error() != tc.want {
			t.Errorf("share %v, alpha %v: %v, want %s", tc.share, tc.alpha, err, tc.want)
		}
	}
}
