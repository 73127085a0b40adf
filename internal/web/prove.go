package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	// provePackets is the number of packets that the page asks a switch about. op25b prove can ask about more.
	provePackets = 10_000
	// proveWithin is the limit on that. The embedded switch answers within a second, and bmv2 some thousand packets a second.
	proveWithin = time.Minute
)

// proveData has what a switch answered about packets.
type proveData struct {
	base
	Switch     string
	Summary    string
	Class      string
	More       string // how more packets can be tried; empty if all were
	Deviations []string
	Tables     []provedTable
	Unhit      []*op25bv1.ProofUnhit
	MoreUnhit  string
}

type provedTable struct {
	Name, Entries, Hit, Share string
	Missed                    bool // a packet has missed all entries
}

// prove asks a switch about packets, and compares what it would do with what the documents demand. It changes nothing.
func (s *Site) prove(v *visit, name string) error {
	if !v.MayOperate() {
		return v.mayNot()
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), proveWithin)
	defer cancel()
	if err := v.inZone(ctx); err != nil {
		return err
	}
	r, err := v.fleet.Prove(ctx, connect.NewRequest(&op25bv1.ProveRequest{Switch: name, Packets: provePackets}))
	if err != nil {
		return err
	}
	m := r.Msg
	v.Section, v.Title = "overview", v.T("proved", m.Switch)
	d := proveData{base: v.base, Switch: m.Switch, Class: "good", Unhit: m.Unhit}
	if m.Deviating > 0 {
		d.Class, d.Summary = "bad", v.T("proved deviating", prose.Number(m.Packets), prose.Number(m.Deviating), m.Revision, m.InForce)
	} else {
		d.Summary = v.T("proved good", prose.Number(m.Packets), m.Revision, m.InForce)
	}
	if !m.All {
		d.More = v.T("proved more", m.Switch)
	}
	for _, c := range m.Deviations {
		d.Deviations = append(d.Deviations, c.Text)
	}
	for _, t := range m.Tables {
		d.Tables = append(d.Tables, provedTable{t.Table, prose.Number(t.Entries), prose.Number(t.Hit), percent(int(t.Hit), int(t.Entries)), t.Missed})
	}
	if more := m.UnhitCount - min(m.UnhitCount, uint64(len(m.Unhit))); more > 0 {
		d.MoreUnhit = v.T("unhit more", prose.Number(more))
	}
	v.render(http.StatusOK, "prove.html", d)
	return nil
}

// switchPath returns the path of a switch's page.
func switchPath(name string) string { return "/switch/" + url.PathEscape(name) }

// probesData has the last round of probes of a switch.
type probesData struct {
	Class, Summary string
	At             string
	Failure        string // why the switch gave no answer
	Packet         string // a packet that deviates, with the entries that should decide; empty if it is not known
}

// probesOf describes the last round of probes of a switch. It returns nil if there was none.
func (b base) probesOf(st *op25bv1.SwitchStatus) *probesData {
	p := st.Probes
	if p == nil {
		return nil
	}
	d := &probesData{Class: "good", At: b.At(p.At.AsTime()), Failure: p.Failure}
	switch {
	case p.Failure != "":
		d.Class, d.Summary = "unknown", b.T("probes failed")
	case p.Deviating > 0:
		d.Class, d.Summary = "bad", b.T("probes deviate", prose.Number(p.Deviating), prose.Number(p.Packets))
	default:
		d.Summary = b.T("probes good", prose.Number(p.Packets))
	}
	if st.Reason == op25bv1.SwitchReason_SWITCH_REASON_DEVIATES {
		d.Packet = st.Detail
	} else if f := st.Failure; f.GetReason() == op25bv1.SwitchReason_SWITCH_REASON_DEVIATES {
		d.Packet = f.Detail
	}
	return d
}
