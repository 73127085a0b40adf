package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

type tableRow struct {
	Name          string
	Entries, Size int64
	Fill          string
}

type switchData struct {
	base
	Status               *op25bv1.SwitchStatus
	Class                string
	Current              bool // what is in force was read from the switch, which is still connected
	Why                  said
	Todo                 string // what to do now; empty if the switch needs no attention
	Since, Seen, Audited string
	Leases               string      // the numbers of leases; empty if no line can have one
	Probes               *probesData // nil if there was no round of probes
	ProvePackets         string      // how many packets the switch can be asked about; empty if the person may not ask it
	Asked                string      // that the controller of the switch has not confirmed a hold, or its end, that was just stored
	Verb                 string      // the verb that the person may use: verbHold, verbRelease, or empty
	Tables               []tableRow
	Phases               string // the phases that should be in force; empty if there are none
	Drift                []driftRow
	Counters             *countersData // nil if the counters are not available
	Counted              *countedData  // nil if the controller does not answer for the switch
	Changes              stateChangesData
	Certificates         certificatesData
	Ranges               []wantedRange
	RuleCurves           *curvesData
	LinkCurves           *curvesData
}

// A driftRow is a repair of a change that somebody else made. At is empty if the text has no time.
type driftRow struct{ At, Text string }

// drift takes the time, which is in the zone of the switch's controller, from the text of a repair.
func (b base) drift(text string) driftRow {
	stamp, what, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return driftRow{Text: text}
	}
	return driftRow{b.At(at), what}
}

// countersData has the counters of a switch.
type countersData struct {
	State      said
	Updated    string
	Current    bool
	Elsewhere  *elsewhereData // nil if this controller collects the counters
	Rules      ruleTable      // of the phases that should be in force, and of no phase
	Others     ruleTable      // of other phases
	Interfaces []counterRow
}

// A ruleTable has the counters of rules.
type ruleTable struct {
	base
	Rows []counterRow
}

type counterRow struct {
	Name, Leg, Phase, Packets, Octets, Rate string
}

// switchPage shows one switch.
func (s *Site) switchPage(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	name := v.r.PathValue("switch")
	r, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{Switches: []string{name}}))
	if err != nil {
		return err
	}
	phases, err := v.phases(ctx)
	if err != nil {
		return err
	}
	st := r.Msg.Switches[0]
	wanted, seen := phasesOn(phases, st.Switch)
	v.Title, v.Section = v.T("switch")+" "+st.Switch, "overview"
	d := switchData{
		base: v.base, Status: st, Class: severityClass[severity(st)], Current: st.Converged && st.State == op25bv1.SwitchState_SWITCH_STATE_CONVERGED,
		Why: said{v.base, view.Because(v.Lang, st)}, Since: v.At(st.Since.AsTime()), Seen: v.At(st.Seen.AsTime()), Audited: v.At(st.Audited.AsTime()),
	}
	if !st.Converged {
		d.Todo = v.todo(st)
	}
	if l := st.Leases; l != nil {
		d.Leases = v.T("leases on", prose.Number(l.InForce), prose.Number(l.Waiting))
	}
	d.Probes = v.probesOf(st)
	if d.Probes != nil && d.Probes.Packet != "" && st.Detail == d.Probes.Packet { // the packet has a place of its own
		short := proto.CloneOf(st)
		short.Detail = ""
		d.Why = said{v.base, view.Because(v.Lang, short)}
	}
	asked := v.r.URL.Query().Get("asked")
	switch {
	case asked == verbHold && st.Hold == nil:
		d.Asked = v.T("hold asked")
	case asked == verbRelease && st.Hold != nil:
		d.Asked = v.T("release asked")
	}
	if v.MayOperate() {
		d.Verb = verbHold
		if st.Hold != nil || asked == verbHold {
			d.Verb = verbRelease
		}
		if st.Converged && st.Owner == v.Name { // only its controller can ask it
			d.ProvePackets = prose.Number(provePackets)
		}
	}
	for _, t := range st.Tables {
		d.Tables = append(d.Tables, tableRow{t.Table, int64(t.Entries), int64(t.Size), percent(int(t.Entries), int(t.Size))})
	}
	for _, text := range st.Drift {
		d.Drift = append(d.Drift, v.drift(text))
	}
	switch {
	case len(wanted) == 0:
	case seen:
		d.Phases = v.T("wanted and seen", v.names(wanted))
	default:
		d.Phases = v.T("wanted here", v.names(wanted))
	}
	if d.Counters = v.counters(ctx, st.Switch, wanted); d.Counters != nil && d.Counters.Elsewhere == nil {
		d.Counted = v.counted(ctx, st.Switch)
	}
	d.Changes, d.Certificates = v.stateChanges(ctx, st.Switch), v.certificates(ctx, st.Switch)
	var over wantedRange
	d.Ranges, over, d.RuleCurves = v.ruleCurves(ctx, st.Switch, v.r.URL.Query().Get("range"))
	d.LinkCurves = v.curves(ctx, "links", over, &op25bv1.ListSeriesRequest{Switch: st.Switch, Kind: op25bv1.SeriesKind_SERIES_KIND_INTERFACES})
	v.render(http.StatusOK, "switch.html", d)
	return nil
}

// counters returns the counters of a switch, or nil if they are not available. The rest of the page is useful without them. wanted has the phases
// whose counters come first.
func (v *visit) counters(ctx context.Context, name string, wanted []string) *countersData {
	r, err := v.telemetry.ListCounters(ctx, connect.NewRequest(&op25bv1.ListCountersRequest{Switches: []string{name}}))
	if err != nil || len(r.Msg.Switches) == 0 {
		return nil
	}
	c := r.Msg.Switches[0]
	if c.State == op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE || c.State == op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED {
		return &countersData{Elsewhere: v.ownerOf(c)}
	}
	d := &countersData{
		State: said{v.base, view.Collection(v.Lang, c)}, Updated: v.At(c.Updated.AsTime()), Current: c.State == op25bv1.CollectionState_COLLECTION_STATE_SYNCED,
		Rules: ruleTable{base: v.base}, Others: ruleTable{base: v.base},
	}
	for _, n := range c.Rules {
		to := &d.Rules
		if n.Phase != "" && len(wanted) > 0 && !slices.Contains(wanted, n.Phase) {
			to = &d.Others
		}
		to.Rows = append(to.Rows, counterRow{n.Rule, n.Leg, n.Phase, fmt.Sprint(n.Packets), fmt.Sprint(n.Octets), view.Rate(n.PacketsPerSecond)})
	}
	known := func(n *uint64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	for _, in := range c.Interfaces {
		d.Interfaces = append(d.Interfaces,
			counterRow{in.Interface, "→ " + v.T("in"), in.OperStatus, known(in.InPackets), known(in.InOctets), view.Rate(in.InPacketsPerSecond)},
			counterRow{in.Interface, "← " + v.T("out"), in.OperStatus, known(in.OutPackets), known(in.OutOctets), view.Rate(in.OutPacketsPerSecond)})
	}
	return d
}

// inZone makes the page show times in the policy's time zone.
func (v *visit) inZone(ctx context.Context) error {
	_, err := v.phases(ctx)
	return err
}

// phases returns the phases, and makes the page show times in the policy's time zone. There are none if there is no policy yet.
func (v *visit) phases(ctx context.Context) ([]*op25bv1.Phase, error) {
	r, err := v.phase.ListPhases(ctx, connect.NewRequest(&op25bv1.ListPhasesRequest{}))
	switch {
	case connect.CodeOf(err) == connect.CodeFailedPrecondition:
		return nil, nil
	case err != nil:
		return nil, err
	}
	v.Zone = zone(r.Msg.UtcOffset)
	return r.Msg.Phases, nil
}

// phasesOn returns the phases that should be in force on a switch, and whether the switch confirms all of them.
func phasesOn(phases []*op25bv1.Phase, name string) (wanted []string, seen bool) {
	seen = true
	for _, p := range phases {
		for _, on := range p.InForce {
			if on.Switch == name {
				wanted, seen = append(wanted, p.Name), seen && on.Confirmed
			}
		}
	}
	return wanted, seen
}
