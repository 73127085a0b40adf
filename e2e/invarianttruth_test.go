package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/client"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// The intervals and limits of the observers in TestI11Truthful.
const (
	truthAudit = time.Second            // the interval at which controllers read their switches
	askEvery   = 100 * time.Millisecond // the pause between two requests for the same report
	answerIn   = 3 * time.Second        // the time after which a reply is discarded
	// confirmedFor limits the age of a claim. A controller confirms a state every 5 s, and reports the state as unknown after 20 s without
	// confirmation.
	confirmedFor = 26 * time.Second
)

// An observer requests all reports about switches from controllers, and records what they claim.
type observer struct {
	t   *testing.T
	rec *record

	mu      sync.Mutex // guards the fields below
	claims  []claim
	answers map[string]int // the number of replies, by kind of report
	wrong   []string
}

func (o *observer) answered(surface string, claims ...claim) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers[surface]++
	o.claims = append(o.claims, claims...)
}

func (o *observer) lied(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, fmt.Sprintf(format, args...))
}

// observe requests reports from a controller until ctx ends. The returned function waits for the end and releases the resources.
func (o *observer) observe(ctx context.Context, n *node) (*client.Client, func()) {
	c, err := client.New(client.Config{Server: n.api})
	if err != nil {
		o.t.Fatal(err)
	}
	plain := &http.Client{Timeout: answerIn, Transport: &http.Transport{}}
	var asking sync.WaitGroup
	for surface, ask := range map[string]func(context.Context){
		"status":  func(ctx context.Context) { o.status(ctx, c) },
		"phases":  func(ctx context.Context) { o.phases(ctx, c) },
		"drift":   func(ctx context.Context) { o.drift(ctx, c) },
		"metrics": func(context.Context) { o.metrics(plain, n) },
		"readyz":  func(context.Context) { o.readyz(plain, n) },
	} {
		every := askEvery
		if surface == "drift" {
			every *= 4 // the controller reads all switches for this report
		}
		asking.Go(func() {
			for ctx.Err() == nil {
				ask(ctx)
				select {
				case <-time.After(every):
				case <-ctx.Done():
				}
			}
		})
	}
	return c, func() {
		asking.Wait()
		plain.CloseIdleConnections()
		c.Close()
	}
}

// claimOf returns the claim of a switch's status in the reply to a request. asked is the time of the request. ok is false if the status claims
// nothing.
func (o *observer) claimOf(surface string, asked time.Time, st *op25bv1.SwitchStatus) (c claim, ok bool) {
	if !st.GetConverged() {
		return c, false
	}
	now := time.Now()
	c = claim{
		surface: surface, sw: st.GetSwitch(), id: st.GetRevisionId(), number: st.GetRevision(), store: st.GetStore(), asked: asked, from: asked, to: now,
		newest: st.GetRevision() == st.GetWanted() && surface == "status",
	}
	if st.GetAudited() != nil {
		c.from = st.GetAudited().AsTime()
	}
	if st.GetSeen() != nil && now.Sub(st.GetSeen().AsTime()) > confirmedFor {
		o.lied("%v, and was last seen %v ago", c, now.Sub(st.GetSeen().AsTime()))
	}
	return c, true
}

func (o *observer) status(ctx context.Context, c *client.Client) {
	asked := time.Now()
	answer, err := client.Ask(ctx, answerIn, c.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{})
	if err != nil {
		return
	}
	var all []claim
	for _, st := range answer.Switches {
		if c, ok := o.claimOf("status", asked, st); ok {
			all = append(all, c)
		}
	}
	o.answered("status", all...)
}

// phases records, for each switch with a confirmed phase, the claim that the switch was recently in the state of the reported revision. The
// report has only the revision's number, not its id.
func (o *observer) phases(ctx context.Context, c *client.Client) {
	asked := time.Now()
	answer, err := client.Ask(ctx, answerIn, c.Phase.ListPhases, &op25bv1.ListPhasesRequest{})
	if err != nil {
		return
	}
	var all []claim
	seen := map[string]bool{}
	for _, ph := range answer.Phases {
		for _, where := range ph.InForce {
			if where.Confirmed && !seen[where.Switch] {
				seen[where.Switch] = true
				all = append(all, claim{surface: "phases", sw: where.Switch, number: answer.Revision, asked: asked, from: asked.Add(-3 * truthAudit), to: time.Now()})
			}
		}
	}
	o.answered("phases", all...)
}

// drift records the claim that a switch is in the state of the current revision, for each switch without drift and without a change.
func (o *observer) drift(ctx context.Context, c *client.Client) {
	asked := time.Now()
	answer, err := client.Ask(ctx, answerIn, c.Fleet.Drift, &op25bv1.DriftRequest{})
	if err != nil {
		return
	}
	var all []claim
	for _, sw := range answer.GetPlan().GetSwitches() {
		none := func(d *op25bv1.Difference) bool { return d.GetAdded()+d.GetChanged()+d.GetRemoved() == 0 }
		if sw.Standing == "read" && sw.Error == "" && none(sw.Drift) && none(sw.Change) && sw.Updates == 0 {
			all = append(all, claim{surface: "drift", sw: sw.Switch, number: answer.GetPlan().GetBase(), asked: asked, from: asked, to: time.Now()})
		}
	}
	o.answered("drift", all...)
}

var convergedGauge = regexp.MustCompile(`(?m)^op25b_fleet_switches\{state="converged"\} (\d+)$`)

// metrics checks the number of converged switches that a controller reports.
func (o *observer) metrics(plain *http.Client, n *node) {
	asked := time.Now()
	text, _, err := page(plain, n.api, "/metrics")
	m := convergedGauge.FindStringSubmatch(text)
	if err != nil {
		return
	}
	o.answered("metrics")
	if m == nil {
		return
	}
	count, _ := strconv.Atoi(m[1])
	if most := o.rec.inAnyRevision(asked.Add(-3*truthAudit), time.Now()); count > most {
		o.lied("metrics of %s: %d switches are converged, and %d were in any revision", n.name, count, most)
	}
}

// readyz checks that a controller that is ready has a store with a quorum.
func (o *observer) readyz(plain *http.Client, n *node) {
	asked := time.Now()
	_, code, err := page(plain, n.api, "/readyz")
	if err != nil {
		return
	}
	o.answered("readyz")
	if code == http.StatusOK && o.rec.down(asked, time.Now()) {
		o.lied("readyz of %s: ready, and no member of etcd was there", n.name)
	}
}

func page(plain *http.Client, addr, path string) (text string, code int, err error) {
	resp, err := plain.Get("http://" + addr + path)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.StatusCode, err
}

// inAnyRevision returns how many switches were in the state of some revision at some time between from and to.
func (r *record) inAnyRevision(from, to time.Time) (n int) {
	r.mu.Lock()
	names, changes := slices.Sorted(maps.Keys(r.samples)), slices.Clone(r.changes)
	r.mu.Unlock()
	for _, sw := range names {
		if slices.ContainsFunc(changes, func(c changed) bool { return r.held(sw, c.Intent, from, to) }) {
			n++
		}
	}
	return n
}

// A truthRound injects events into a plant while observers request reports.
type truthRound struct {
	*round
	rec     *record
	obs     *observer
	clients []*client.Client
}

// changes changes the intent and records the change.
func (r *truthRound) changes(make func(ctx context.Context, base uint64) (*intent.Intent, error)) *intent.Intent {
	began := time.Now()
	in := r.change(make)
	r.note(in, began)
	return in
}

func (r *truthRound) note(in *intent.Intent, began time.Time) {
	r.rec.stored(changed{Intent: in, store: r.identity(generous(r.t)), began: began, ended: time.Now()})
}

func (r *truthRound) documents(n int) *intent.Intent {
	return r.changes(func(ctx context.Context, base uint64) (*intent.Intent, error) {
		proposal, err := r.book.Propose(ctx, r.exempting(n))
		if err != nil {
			return nil, err
		}
		return r.book.Put(ctx, proposal, intent.By{Who: "noc", Reason: "truth"})
	})
}

func (r *truthRound) phase(name string) *intent.Intent {
	return r.changes(func(ctx context.Context, base uint64) (*intent.Intent, error) {
		return r.book.Activate(ctx, base, name, policy.Scope{}, intent.By{Who: "noc", Reason: "truth"})
	})
}

// reached waits until each of the switches is in the state of an intent.
func (r *truthRound) reached(in *intent.Intent, switches ...*edge) {
	r.t.Helper()
	for _, e := range switches {
		r.rec.await(r.t, e.name, in)
	}
}

// applied activates a phase through a controller's API, and records the claims in its progress.
func (r *truthRound) applied() {
	c := r.clients[r.IntN(len(r.clients))]
	r.listening(c)
	began := time.Now()
	base := r.newest().Number
	err := client.Follow(generous(r.t), answerIn, c.Phase.Activate, &op25bv1.ActivateRequest{
		Phase: []string{"mobile-carriers", "all-destinations"}[base%2], Base: base, Reason: "truth",
	}, func(m *op25bv1.Progress) error {
		var all []claim
		switch e := m.Event.(type) {
		case *op25bv1.Progress_Stored:
			in := r.newest()
			if in.Number != e.Stored.GetNumber() {
				return fmt.Errorf("stored as revision %d, and the newest is %d", e.Stored.GetNumber(), in.Number)
			}
			r.note(in, began)
		case *op25bv1.Progress_Switch:
			if c, ok := r.obs.claimOf("progress", began, e.Switch); ok {
				all = append(all, c)
			}
		case *op25bv1.Progress_Done:
			if int(e.Done.GetConverged()) == len(r.switches) {
				for _, sw := range r.switches {
					all = append(all, claim{surface: "done", sw: sw.name, number: e.Done.GetRevision(), asked: began, from: began, to: time.Now(), newest: true})
				}
			}
		}
		r.obs.answered("progress", all...)
		return nil
	})
	if err != nil {
		r.t.Errorf("activate: %v", err)
	}
}

// listening waits until a controller answers. A controller that has just been started again does not answer at once.
func (r *truthRound) listening(c *client.Client) {
	r.t.Helper()
	ctx := generous(r.t)
	for {
		_, err := client.Ask(ctx, answerIn, c.Phase.ListPhases, &op25bv1.ListPhasesRequest{})
		if err == nil {
			return
		}
		if !store.Pause(ctx, sampleEvery) {
			r.t.Fatalf("a controller does not answer: %v", err)
		}
	}
}

// byHandObserved writes to a switch without the controllers, and waits until the switch is repaired.
func (r *truthRound) byHandObserved() {
	e := r.any(r.switches)
	r.hand(e, r.harmlessEdit(e))
	r.reached(r.newest(), e)
}

// frozen suspends a switch and changes the intent meanwhile.
func (r *truthRound) frozen() {
	e := r.any(r.switches)
	e.process.signal(syscall.SIGSTOP)
	in := r.documents(5 + r.IntN(50))
	for _, other := range r.switches {
		if other != e {
			r.reached(in, other)
		}
	}
	time.Sleep(2 * truthAudit) // wait until the controllers no longer claim anything about the switch
	e.process.signal(syscall.SIGCONT)
	r.reached(in, e)
}

// ownerKilled kills a controller, changes the intent, and restarts the controller after all switches have the change.
func (r *truthRound) ownerKilled() {
	n := r.controllers[r.IntN(len(r.controllers))]
	n.kill()
	in := r.documents(5 + r.IntN(50))
	r.reached(in, r.switches...)
	n.start()
}

// bothKilled kills both controllers, changes the intent, and restarts the controllers.
func (r *truthRound) bothKilled() {
	for _, n := range r.controllers {
		n.kill()
	}
	in := r.phase([]string{"mobile-carriers", "all-destinations"}[r.newest().Number%2])
	for _, n := range r.controllers {
		n.start()
	}
	r.reached(in, r.switches...)
}

func (r *truthRound) switchKilled() {
	e := r.any(r.switches)
	e.stream.excuse(false)
	e.kill()
	in := r.documents(5 + r.IntN(50))
	time.Sleep(truthAudit)
	e.start()
	r.reached(in, r.switches...)
}

// storeBack restores an older store. It then stores another revision under a number that the replaced store has used too.
func (r *truthRound) storeBack() {
	saved := r.saveStore()
	old := r.newest()
	r.reached(r.documents(60+r.IntN(50)), r.switches...)
	began := time.Now()
	r.replaceStore(func(m *node) { r.copyDir(r.dataDir(m.name), filepath.Join(saved, m.name)) })
	in := r.newest()
	id := r.identity(generous(r.t))
	r.rec.mu.Lock()
	r.rec.outages = append(r.rec.outages, outage{began: began, ended: began, store: id})
	r.rec.mu.Unlock()
	if in.ID != old.ID {
		r.t.Fatalf("revision %d was put back, and the newest is %d", old.Number, in.Number)
	}
	r.note(in, began)
	r.reached(in, r.switches...)
	r.reached(r.documents(120+r.IntN(50)), r.switches...)
}

// noStore stops etcd for two audit intervals.
func (r *truthRound) noStore() {
	began := time.Now()
	r.stopStore()
	time.Sleep(2 * truthAudit)
	ended := time.Now()
	r.startStore()
	r.rec.mu.Lock()
	r.rec.outages = append(r.rec.outages, outage{began: began, ended: ended})
	r.rec.mu.Unlock()
	r.reached(r.documents(5+r.IntN(50)), r.switches...)
}

// TestI11Truthful verifies I11. Observers continuously request all reports about switches from two controllers. Meanwhile, controllers and
// switches are killed and suspended, entries are changed by hand, and etcd stops or returns with an older state. If a reply reports a switch
// as converged, or a phase as in force on a switch, direct reads must show that the switch was in that state at some time within the age that
// the reply states. No newer revision may have been stored before the request.
func TestI11Truthful(t *testing.T) {
	buildBinary(t)
	seed := invariantSeed()
	t.Logf("-seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 11))
	p := startPlantOf(t, "", func(p *plant, n *node) *exec.Cmd {
		return exec.Command(buildBinary(t), "serve", "--name", n.name, "--etcd", strings.Join(p.endpoints, ","), "--listen", n.api, "--audit-every", truthAudit.String())
	})
	rec, stopRecord := keepRecord(p)
	obs := &observer{t: t, rec: rec, answers: map[string]int{}}
	r := &truthRound{round: &round{plant: p, Rand: draw, number: 1, figures: &figures{}, changing: func() {}}, rec: rec, obs: obs}
	first := r.newest()
	r.note(first, time.Now())
	r.reached(first, p.switches...)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits []func()
	for _, n := range p.controllers {
		c, wait := obs.observe(ctx, n)
		r.clients = append(r.clients, c)
		waits = append(waits, wait)
	}
	happens := []func(){r.storeBack, r.applied, r.byHandObserved}
	drawn := []func(){r.frozen, r.ownerKilled, r.switchKilled, r.bothKilled, r.noStore}
	if longform.On() {
		happens = append(happens, drawn...)
		for range 40 {
			happens = append(happens, happens[draw.IntN(8)])
		}
	} else {
		draw.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
		happens = append(happens, drawn[:2]...)
	}
	draw.Shuffle(len(happens), func(i, j int) { happens[i], happens[j] = happens[j], happens[i] })
	for i, happen := range happens {
		began := time.Now()
		r.number = i + 1
		happen()
		t.Logf("round %d: %v", i+1, time.Since(began).Round(time.Millisecond))
	}
	p.settled()
	cancel()
	for _, wait := range waits {
		wait()
	}
	time.Sleep(5 * sampleEvery) // leave time for a read of each switch after the last reply
	stopRecord()
	obs.report(len(happens))
}

// report checks all claims and prints the figures.
func (o *observer) report(happened int) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.claims {
		if wrong := o.rec.wrong(c); wrong != "" {
			o.wrong = append(o.wrong, wrong)
		}
	}
	for _, w := range o.wrong[:min(len(o.wrong), 20)] {
		o.t.Errorf("I11: %s", w)
	}
	total := 0
	var by []string
	for _, surface := range slices.Sorted(maps.Keys(o.answers)) {
		total += o.answers[surface]
		by = append(by, fmt.Sprintf("%s %d", surface, o.answers[surface]))
	}
	reads := 0
	for _, all := range o.rec.samples {
		reads += len(all)
	}
	fmt.Printf("I11 Truthful: %d faults: %d answers checked (%s), %d claims of a switch in a revision, %d wrong; %d reads of switches beside them\n",
		happened, total, strings.Join(by, ", "), len(o.claims), len(o.wrong), reads)
	if len(o.claims) == 0 {
		o.t.Error("no answer claimed anything")
	}
}
