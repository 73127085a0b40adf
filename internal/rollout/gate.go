package rollout

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"op25b/internal/rollout/evidence"
)

// A Verdict is what a gate says of a ring.
type Verdict uint8

// The verdicts. NoData is the zero value: no data is never a yes.
const (
	NoData Verdict = iota // holds the rollout until there are data
	Pass
	Hold   // holds the rollout until an operator resumes it
	GoBack // takes the change back from all rings
)

// String returns the name of the verdict.
func (v Verdict) String() string { return [...]string{"no-data", "pass", "hold", "go-back"}[v] }

// A GateName is the name of a gate, or of another source of findings.
type GateName string

// The gates that take a change back. Each of them means that the change, or the switch, does something that no policy asks for.
const (
	Submission GateName = "submission" // packets to port 587 or 465 outside were stopped
	Relays     GateName = "relays"     // permits to the own relays fell to almost none
	Counting   GateName = "counting"   // the counters stand still while the link carries packets
	Switches   GateName = "switches"   // a switch of the ring has drift, has failed or is unreachable
	Tables     GateName = "tables"     // a table is almost full
	Affected   GateName = "affected"   // more lines are newly affected than the forecast says
	Rejects    GateName = "rejects"    // more lines are newly stopped than in the control
	Stopping   GateName = "stopping"   // documents stop almost nothing of what was stopped before
	Probes     GateName = "probes"     // the switches of the ring have not shown by probes that they do what the documents demand

	TicketsOpened GateName = "tickets" // more lines have support tickets than the bound of the ring
)

// The sources of findings that are no gates.
const (
	Confirmation GateName = "confirmation" // switches have not confirmed what they were told
	Foreseen     GateName = "foreseen"     // what is known of documents before any switch has them
	Operator     GateName = "operator"
)

// gateNames returns the gates that must have data before a ring may go on.
func gateNames() []GateName {
	return []GateName{Submission, Relays, Counting, Switches, Tables, Affected, Rejects, Stopping, Probes, TicketsOpened}
}

// A Finding is what a gate says of a ring.
type Finding struct {
	Gate     GateName `json:"gate"`
	Verdict  Verdict  `json:"verdict"`
	Ring     string   `json:"ring"`
	Switches []string `json:"switches,omitempty"` // those that the finding is about, or empty for the ring
	Text     string   `json:"text,omitempty"`
}

// Gates are the bounds of the gates of a ring.
type Gates struct {
	// Affected bounds the newly affected lines, as a multiple of the forecast.
	Affected float64 `json:"affected"`
	// Alpha is the probability with which the comparison with the control ring may be wrong once in a rollout.
	Alpha float64 `json:"alpha"`
	// Full is the share of a table's size above which the change goes back.
	Full float64 `json:"full"`
	// Stale is the age at which a sample counts as no data.
	Stale time.Duration `json:"stale"`
	// Tickets bounds the lines with support tickets.
	Tickets TicketBound `json:"tickets,omitzero"`
}

// DefaultGates are the bounds of a ring that sets none. A sample is stale after three of the collector's intervals.
func DefaultGates() Gates {
	return Gates{Affected: 1.2, Alpha: 0.001, Full: 0.95, Stale: 30 * time.Second}
}

// minPermits is the number of permits to the relays, or of stopped packets, before the change below which their absence after it means nothing.
const minPermits = 20

// relayShare is the share of the rate before the change to which the permits, or the stopped packets, may fall. Mail varies with the hour, but not by ten.
const relayShare = 0.1

// minLink is the number of packets on the links of a switch from which its counters must have moved.
const minLink = 1000

// A Measure is what was measured of a switch. The counts are since the switch got the change, unless they say otherwise.
type Measure struct {
	Switch string
	// At is the time of the newest sample, and From the time of the first that has the change. They are zero if there is no sample.
	At, From time.Time
	// Unwell says why the switch is not in its desired state, such as drift or a lost session, or is empty. Unseen says why it is not known whether it
	// is, such as the death of its controller, or is empty.
	Unwell, Unseen string
	// Unprobed says why no probes have shown since the change that the switch does what the documents demand, or is empty. Unanswered says why the
	// switch answers no probes, or is empty.
	Unprobed, Unanswered string
	// SubmissionStopped counts the packets to port 587 and 465 outside that were dropped or rejected.
	SubmissionStopped uint64
	// RelayPermits counts the packets that were permitted to the own relays, and RelayPermitsBefore those in the time Before before the change.
	RelayPermits, RelayPermitsBefore uint64
	Before                           time.Duration
	// Stopped counts the packets of lines that were stopped, and StoppedBefore those in the time Before before the change.
	Stopped, StoppedBefore uint64
	// CountedBefore counts the packets that the counters of the pipeline showed in the time Before before the change. They count mail only.
	CountedBefore uint64
	// Still is for how long no counter of the pipeline has moved, since the change at most, and StillLink the packets that the access ports received in
	// that time.
	Still     time.Duration
	StillLink uint64
	// FullestTable is the table with the largest share of its size in use, and Full that share.
	FullestTable string
	Full         float64
	// Steady is the time of the first sample after the switch was seen with the change, or zero. RelayPermits and Stopped are counted from it.
	Steady time.Time
	// LinesCounted is set once the counters of all lines were sampled for a whole interval with the change. Affected is not complete before.
	LinesCounted bool
	// Affected is the number of lines of which mail was stopped since the change and not before, and Forecast is how many the forecast expects.
	// ForecastKnown is false if there is no forecast for the switch.
	// Recounted is the time since which Affected is counted if that is later than From, and zero otherwise.
	Affected, Forecast uint64
	ForecastKnown      bool
	Recounted          time.Time
	// Lines is the number of lines of the switch.
	Lines int
}

// A Reading is what the gates of a ring are evaluated from.
type Reading struct {
	Time time.Time
	// Ring has the measures of the switches of the ring, and Control those of switches without the change, or with it for longer.
	Ring, Control []Measure
	// Documents is set if the change is documents. A phase may stop nothing; documents are not expected to.
	Documents bool
	// Tickets are the support tickets of the ring.
	Tickets Tickets
}

// Evaluate returns the findings of every gate for a ring.
func (g Gates) Evaluate(stage Stage, in Reading) []Finding {
	e := evaluation{g, stage, in}
	return []Finding{
		e.each(Submission, e.submission), e.each(Relays, e.relays), e.each(Counting, e.counting),
		e.each(Switches, e.switches), e.each(Tables, e.tables), e.affected(), e.rejects(), e.each(Stopping, e.stopping),
		e.each(Probes, e.probes), e.tickets(),
	}
}

type evaluation struct {
	Gates
	stage Stage
	Reading
}

func (e evaluation) finding(gate GateName, v Verdict, text string, switches ...string) Finding {
	return Finding{Gate: gate, Verdict: v, Ring: e.stage.Name, Switches: switches, Text: text}
}

// each asks a gate about every switch of the ring. The worst answer is the finding: GoBack, then NoData, then Hold, then Pass. A switch without a
// measure has no data.
func (e evaluation) each(gate GateName, ask func(Measure) (Verdict, string)) Finding {
	type answer struct {
		text     string
		switches []string
	}
	var worst [GoBack + 1]answer
	for _, name := range e.stage.Switches {
		v, text := NoData, "there is no measurement"
		if i := slices.IndexFunc(e.Ring, func(m Measure) bool { return m.Switch == name }); i >= 0 {
			v, text = ask(e.Ring[i])
		}
		if len(worst[v].switches) == 0 {
			worst[v].text = text
		}
		worst[v].switches = append(worst[v].switches, name)
	}
	for _, v := range []Verdict{GoBack, NoData, Hold} {
		if a := worst[v]; len(a.switches) > 0 {
			return e.finding(gate, v, a.text, a.switches...)
		}
	}
	return e.finding(gate, Pass, "")
}

// stale returns why a measure is no data, or "".
func (e evaluation) stale(m Measure) string {
	switch age := e.Time.Sub(m.At); {
	case m.At.IsZero():
		return "there is no sample"
	case m.From.IsZero() || !m.At.After(m.From):
		return "there is no sample after the change"
	case age > e.Stale:
		return fmt.Sprintf("the last sample is %v old", age.Round(time.Second))
	}
	return ""
}

func (e evaluation) submission(m Measure) (Verdict, string) {
	switch why := e.stale(m); {
	case m.SubmissionStopped > 0:
		return GoBack, strconv.FormatUint(m.SubmissionStopped, 10) + " packets to port 587 or 465 of other providers were stopped"
	case why != "":
		return NoData, why
	}
	return Pass, ""
}

func (e evaluation) relays(m Measure) (Verdict, string) {
	if why := e.stale(m); why != "" {
		return NoData, why
	}
	v, expected, text := m.collapsed(m.RelayPermits, m.RelayPermitsBefore)
	if v == Hold {
		return GoBack, fmt.Sprintf("%d packets were permitted to the relays, and %.0f before the change in as long a time", m.RelayPermits, expected)
	}
	return v, text
}

// stopping holds documents with which hardly any packet is stopped, such as those with a class of own servers that is too wide. No forecast sees that.
func (e evaluation) stopping(m Measure) (Verdict, string) {
	if !e.Documents {
		return Pass, ""
	}
	if why := e.stale(m); why != "" {
		return NoData, why
	}
	v, expected, text := m.collapsed(m.Stopped, m.StoppedBefore)
	if v == Hold {
		text = fmt.Sprintf("%d packets were stopped, and %.0f before the change in as long a time", m.Stopped, expected)
	}
	return v, text
}

// collapsed returns Hold if a count is almost nothing of what was expected after the count before the change, and Pass if there was too little before
// to miss it.
func (m Measure) collapsed(now, before uint64) (v Verdict, expected float64, text string) {
	if m.Before <= 0 || before < minPermits {
		return Pass, 0, ""
	}
	if m.Steady.IsZero() {
		return NoData, 0, "there is no sample since the switch was seen with the change"
	}
	since := m.At.Sub(m.Steady)
	expected = float64(before) * since.Seconds() / m.Before.Seconds()
	switch {
	case expected < minPermits:
		return NoData, expected, fmt.Sprintf("only %v since the change", since.Round(time.Second))
	case float64(now) < relayShare*expected:
		return Hold, expected, ""
	}
	return Pass, expected, ""
}

// counting takes a change back if the counters stand still although the links do not. The counters count mail only, and a switch with few lines has none
// for minutes, so nothing is said before a tenth of the mail before the change would have moved them.
func (e evaluation) counting(m Measure) (Verdict, string) {
	if why := e.stale(m); why != "" {
		return NoData, why
	}
	if m.Before <= 0 || m.StillLink < minLink {
		return Pass, ""
	}
	expected := float64(m.CountedBefore) * m.Still.Seconds() / m.Before.Seconds()
	if relayShare*expected < minPermits {
		return Pass, ""
	}
	return GoBack, fmt.Sprintf("no counter has moved for %v while the access ports received %d packets; before the change, %.0f packets were counted in as long a time",
		m.Still.Round(time.Second), m.StillLink, expected)
}

func (e evaluation) switches(m Measure) (Verdict, string) {
	switch {
	case m.Unwell != "":
		return GoBack, m.Unwell
	case m.Unseen != "": // another controller takes the switch over
		return NoData, m.Unseen
	}
	return Pass, ""
}

// probes lets an operator accept a switch that answers no probes. One whose probes deviate is failed soon: see switches.
func (e evaluation) probes(m Measure) (Verdict, string) {
	switch {
	case m.Unanswered != "":
		return Hold, m.Unanswered
	case m.Unprobed != "":
		return NoData, m.Unprobed
	}
	return Pass, ""
}

func (e evaluation) tables(m Measure) (Verdict, string) {
	switch {
	case m.FullestTable == "":
		return NoData, "the use of the tables is not known"
	case m.Full > e.Full:
		return GoBack, fmt.Sprintf("table %s is %.1f %% full, and may be %.0f %%", m.FullestTable, 100*m.Full, 100*e.Full)
	}
	return Pass, ""
}

// affected compares the newly affected lines of the whole ring with the forecast, because a switch with few lines varies much.
func (e evaluation) affected() Finding {
	var affected, forecast uint64
	var early []string
	for _, name := range e.stage.Switches {
		i := slices.IndexFunc(e.Ring, func(m Measure) bool { return m.Switch == name })
		if i < 0 {
			return e.finding(Affected, NoData, "there is no measurement", name)
		}
		m := e.Ring[i]
		if why := e.stale(m); why != "" {
			return e.finding(Affected, NoData, why, name)
		}
		if !m.ForecastKnown {
			return e.finding(Affected, Hold, "there is no forecast", name) // none will come after the change, so an operator decides
		}
		if !m.Recounted.IsZero() {
			return e.finding(Affected, Hold, fmt.Sprintf("the lines are counted only since %s, when the switch got another controller", m.Recounted.Format(time.RFC3339)), name)
		}
		affected += m.Affected
		forecast += m.Forecast
		if !m.LinesCounted {
			early = append(early, name)
		}
	}
	if bound := e.Affected * float64(forecast); float64(affected) > math.Ceil(bound) {
		return e.finding(Affected, Hold, fmt.Sprintf("%d lines are newly affected, and the forecast says %d", affected, forecast))
	}
	if len(early) > 0 {
		return e.finding(Affected, NoData, "the counters of lines have not been sampled long enough since the change", early...)
	}
	return e.finding(Affected, Pass, "")
}

// rejects compares the newly affected lines of the ring with those of its control, by the lines of both. Lines are compared and not packets, because
// one infected host sends thousands of packets. A last ring has no control.
func (e evaluation) rejects() Finding {
	ring, lines, stale := e.sum(e.Ring)
	control, others, staleControl := e.sum(e.Control)
	switch {
	case len(stale) > 0:
		return e.finding(Rejects, NoData, "there are no new samples", stale...)
	case len(e.Control) == 0 || lines == 0 || others == 0:
		return e.finding(Rejects, Pass, "there is no ring to compare with")
	case len(staleControl) > 0:
		return e.finding(Rejects, NoData, "there are no new samples of the control ring", staleControl...)
	}
	worse, err := evidence.Comparison{Canary: ring, Control: control, Share: float64(lines) / float64(lines+others)}.Worse(e.Alpha)
	switch {
	case err != nil:
		return e.finding(Rejects, NoData, err.Error())
	case worse:
		return e.finding(Rejects, Hold, fmt.Sprintf("mail of %d of %d lines was newly stopped, and of %d of %d lines in the control ring", ring, lines, control, others))
	}
	return e.finding(Rejects, Pass, "")
}

func (e evaluation) sum(all []Measure) (affected uint64, lines int, stale []string) {
	for _, m := range all {
		affected += m.Affected
		lines += m.Lines
		if e.stale(m) != "" || !m.LinesCounted {
			stale = append(stale, m.Switch)
		}
	}
	return affected, lines, stale
}

// String returns the finding in one line.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(string(f.Gate))
	if f.Ring != "" {
		b.WriteString(" of ring " + f.Ring)
	}
	if len(f.Switches) > 0 {
		b.WriteString(" (" + strings.Join(f.Switches, ", ") + ")")
	}
	b.WriteString(": " + f.Verdict.String())
	if f.Text != "" {
		b.WriteString(": " + f.Text)
	}
	return b.String()
}
