package e2e

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
)

var faultFlag = flag.String("fault", "", "play no other faults than these, NAME,..., in this order")

// faultRounds is the number of rounds of the long form.
const faultRounds = 200

var faultsAlways = []string{"controller killed at rest", "late writes", "store put back"}

const faultsDrawn = 3

// TestFaults injects faults, one after another, into an installation of three etcd members, two controllers and three switches, each a
// process. The intent often changes during a fault. The test verifies that, after each fault, every switch has the state of the newest intent
// and a live owner. It also verifies that frames on which all policies agree are decided accordingly at all times.
func TestFaults(t *testing.T) {
	buildBinary(t)
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		t.Parallel()
		playFaults(t, "embedded", "")
	})
	t.Run("bmv2", func(t *testing.T) { // bmv2 is the first switch, and the faults affect this switch
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		t.Parallel()
		playFaults(t, "bmv2", path)
	})
}

// playFaults plays random faults. The long form plays each fault once. On embedded switches, it then plays random faults up to faultRounds.
func playFaults(t *testing.T, name, bmv2 string) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	all := faults()
	draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	order := slices.Clone(all)
	switch {
	case *faultFlag != "":
		order = nil
		for name := range strings.SplitSeq(*faultFlag, ",") {
			i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
			if i < 0 {
				t.Fatalf("-fault %q: there is no such fault", name)
			}
			order = append(order, all[i])
		}
	case !longform.On():
		slices.SortStableFunc(order, func(a, b fault) int { return always(b) - always(a) })
		order = order[:min(len(order), len(faultsAlways)+faultsDrawn)]
	case bmv2 == "":
		for len(order) < faultRounds {
			order = append(order, all[draw.IntN(len(all))])
		}
	}
	if *faultFlag == "" {
		draw.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	p := startPlant(t, bmv2)
	if p.disk == nil {
		order = slices.DeleteFunc(order, func(f fault) bool { return f.name == "full disk" })
	}
	p.settled()
	f := &figures{rounds: map[string]int{}}
	defer func() { fmt.Printf("faults: %s: %s\n", name, f.text(p)) }()
	larges := 0
	for i, kind := range order {
		r := &round{plant: p, Rand: rand.New(rand.NewPCG(seed, uint64(i+1))), number: i + 1, figures: f, changing: func() {}}
		if kind.name == "full table" && larges < 2 && longform.On() {
			larges++
			r.large = true
		}
		p.rests()
		if !kind.alone && r.IntN(2) == 0 {
			r.begin()
		}
		began := time.Now()
		t.Logf("round %d: %s, the intent changes: %v", r.number, kind.name, r.changed)
		kind.inject(r)
		r.changing()
		p.settled()
		f.rounds[kind.name]++
		t.Logf("round %d: settled after %v", r.number, time.Since(began).Round(time.Millisecond))
	}
	if slices.Sort(f.takeovers); len(f.takeovers) > 0 && f.takeovers[len(f.takeovers)/2] > takeoverLimit {
		t.Errorf("half of the switches of a killed controller were taken over in more than %v", takeoverLimit)
	}
}

// always returns 1 for a fault that every run plays, and 0 for other faults.
func always(f fault) int {
	if slices.Contains(faultsAlways, f.name) {
		return 1
	}
	return 0
}

// takeoverLimit limits the median time until another controller has taken over a killed controller's switches.
const takeoverLimit = 5 * time.Second

// text returns a summary of a run.
func (f *figures) text(p *plant) string {
	total := 0
	text := ""
	for _, name := range slices.Sorted(maps.Keys(f.rounds)) {
		total += f.rounds[name]
		text += fmt.Sprintf("\n  %-24s %d", name, f.rounds[name])
	}
	text = fmt.Sprintf("%d rounds", total) + text
	if n := len(f.takeovers); n > 0 {
		slices.Sort(f.takeovers)
		text += fmt.Sprintf("\n  taken over after a kill: %d times, min %v, median %v, max %v", n,
			f.takeovers[0].Round(time.Millisecond), f.takeovers[n/2].Round(time.Millisecond), f.takeovers[n-1].Round(time.Millisecond))
	}
	text += fmt.Sprintf("\n  late writes refused: %d", f.refused)
	text += "\n  memory at most: " + p.memory()
	for _, e := range p.switches {
		if e.stream == nil {
			continue
		}
		e.stream.mu.Lock()
		text += fmt.Sprintf("\n  %s: %d frames sent, %d of them to be stopped, %d came out", e.name, e.stream.sent, e.stream.stopped, e.stream.back)
		e.stream.mu.Unlock()
		e.network.tap.mu.Lock()
		text += fmt.Sprintf("; %d requests, %d accepted", e.network.tap.requests, e.network.tap.accepted)
		e.network.tap.mu.Unlock()
	}
	return text
}
