package web

import (
	"context"
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// stateChangesData has the last changes of a switch's state.
type stateChangesData struct {
	Rows []stateChangeRow
	Note said // since when they are known, or why there are none
}

type stateChangeRow struct {
	At, State, Class, Reason, Owner string
	Revision                        uint64
}

// stateChanges returns the last changes of a switch's state.
func (v *visit) stateChanges(ctx context.Context, name string) stateChangesData {
	r, err := v.fleet.ListStateChanges(ctx, connect.NewRequest(&op25bv1.ListStateChangesRequest{Switch: name}))
	switch {
	case err != nil:
		return stateChangesData{Note: v.said(v.T("state failed"), messageOf(err))}
	case len(r.Msg.Changes) == 0:
		return stateChangesData{Note: v.said(v.T("state unknown"), "")}
	}
	var d stateChangesData
	for _, c := range r.Msg.Changes {
		st := &op25bv1.SwitchStatus{State: c.State, Reason: c.Reason, Converged: c.State == op25bv1.SwitchState_SWITCH_STATE_CONVERGED}
		d.Rows = append(d.Rows, stateChangeRow{
			At: v.At(c.Time.AsTime()), State: v.State(c.State), Class: severityClass[severity(st)], Reason: view.Reason(v.Lang, c.Reason), Owner: c.Owner,
			Revision: c.Revision,
		})
	}
	d.Note = v.said(v.T("state known", d.Rows[len(d.Rows)-1].At), "")
	return d
}

// certificatesData has the ends of the certificates of the sessions with a switch.
type certificatesData struct {
	Rows []certificateRow
	Note said // why there are none
}

type certificateRow struct{ Name, Ends, Left, Class string }

// These are the times before the end of a certificate at which it needs attention, as in the alerts of examples/prometheus.
const (
	soon = 14 * 24 * time.Hour
	now  = 2 * 24 * time.Hour
)

// certificates returns the ends of the certificates of the sessions with a switch.
func (v *visit) certificates(ctx context.Context, name string) (d certificatesData) {
	r, err := v.fleet.ListCertificates(ctx, connect.NewRequest(&op25bv1.ListCertificatesRequest{Switch: name}))
	switch {
	case err != nil:
		d.Note = v.foreign(messageOf(err))
	case !r.Msg.Owned:
		d.Note = v.said(v.T("certs elsewhere"), "")
	case len(r.Msg.Certificates) == 0:
		d.Note = v.said(v.T("certs none"), "")
	default:
		for _, c := range r.Msg.Certificates {
			end := c.NotAfter.AsTime()
			row := certificateRow{Name: v.use(c.Use), Ends: v.At(end), Class: "good"}
			switch left := end.Sub(v.Now); {
			case left <= 0:
				row.Left, row.Class = v.T("cert ended"), "bad"
			case left < now:
				row.Left, row.Class = v.lasting(left), "bad"
			case left < soon:
				row.Left, row.Class = v.lasting(left), "busy"
			default:
				row.Left = v.T("days", int(left.Hours()/24))
			}
			d.Rows = append(d.Rows, row)
		}
	}
	return d
}

// use names the use of a certificate, such as p4runtime-client.
func (b base) use(use string) string {
	service, role, _ := strings.Cut(use, "-")
	if names := map[string]string{"p4runtime": "P4Runtime", "gnmi": "gNMI"}; names[service] != "" {
		service = names[service]
	}
	switch role {
	case "server":
		return b.T("cert server", service)
	case "client":
		return b.T("cert client", service)
	case "ca":
		return b.T("cert ca", service)
	}
	return use
}

// messageOf returns the text of an error of the API without its code.
func messageOf(err error) string {
	if e := (*connect.Error)(nil); errors.As(err, &e) {
		return e.Message()
	}
	return err.Error()
}
