package view

import (
	"bytes"
	"encoding/json"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// documents is the JSON view for programs.
type documents struct{ w io.Writer }

var _ View = (*documents)(nil)

// write writes a message as one line of JSON. It removes the spaces that protojson adds, because they differ from build
// to build.
func (d *documents) write(m proto.Message) error {
	data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err = d.w.Write(line.Bytes())
	return err
}

// CounterChanges writes the whole message.
func (d *documents) CounterChanges(r *op25bv1.WatchCountersResponse) error { return d.write(r) }

// Plan writes the whole message and ignores full. The message states whether the controller has truncated it.
func (d *documents) Plan(p *op25bv1.Plan, _ bool) error { return d.write(p) }

// Prove writes the whole message and ignores full.
func (d *documents) Prove(r *op25bv1.ProveResponse, _ bool) error { return d.write(r) }

// Drift writes the whole message and ignores full. The message states whether the controller has truncated it.
func (d *documents) Drift(r *op25bv1.DriftResponse, _ bool) error { return d.write(r) }

// Documents writes the whole message, also if the documents were saved.
func (d *documents) Documents(r *op25bv1.ShowResponse, _ string) error { return d.write(r) }

func (d *documents) Approved(q *op25bv1.ApproveRequest) error                 { return d.write(q) }
func (d *documents) Progress(p *op25bv1.Progress) error                       { return d.write(p) }
func (d *documents) Switches(r *op25bv1.ListSwitchesResponse) error           { return d.write(r) }
func (d *documents) Changes(r *op25bv1.WatchSwitchesResponse) error           { return d.write(r) }
func (d *documents) Counters(r *op25bv1.ListCountersResponse) error           { return d.write(r) }
func (d *documents) Clocks(r *op25bv1.ListClocksResponse) error               { return d.write(r) }
func (d *documents) Phases(r *op25bv1.ListPhasesResponse) error               { return d.write(r) }
func (d *documents) Phase(r *op25bv1.ShowPhaseResponse) error                 { return d.write(r) }
func (d *documents) Scheduled(a *op25bv1.ScheduledActivation, _ string) error { return d.write(a) }
func (d *documents) Preview(r *op25bv1.PreviewResponse) error                 { return d.write(r) }
func (d *documents) Check(r *op25bv1.CheckResponse) error                     { return d.write(r) }
func (d *documents) Mail(r *op25bv1.CheckMailResponse) error                  { return d.write(r) }
func (d *documents) History(r *op25bv1.HistoryResponse, _ int) error          { return d.write(r) }
func (d *documents) Diff(r *op25bv1.DiffResponse) error                       { return d.write(r) }
func (d *documents) Records(r *op25bv1.ListRecordsResponse, _ Listing) error  { return d.write(r) }
func (d *documents) Backup(s *op25bv1.BackupSummary, _ string) error          { return d.write(s) }
func (d *documents) Verified(r *op25bv1.VerifyResponse, _ int) error          { return d.write(r) }
func (d *documents) Archived(r *op25bv1.PruneResponse, _ string) error        { return d.write(r) }
func (d *documents) Offenders(r *op25bv1.ListOffendersResponse) error         { return d.write(r) }
func (d *documents) Sessions(r *op25bv1.ListSessionsResponse) error           { return d.write(r) }
func (d *documents) Found(r *op25bv1.FindAddressResponse, _ bool) error       { return d.write(r) }
func (d *documents) Lines(r *op25bv1.ListLinesResponse) error                 { return d.write(r) }
func (d *documents) Resolved(r *op25bv1.ResolveLinesResponse) error           { return d.write(r) }
func (d *documents) Forgotten(r *op25bv1.ForgetLinesResponse) error           { return d.write(r) }

func (d *documents) Exemptions(r *op25bv1.ListExemptionsResponse) error { return d.write(r) }

// The answers about leases are written as they are.
func (d *documents) Leases(r *op25bv1.ListLeasesResponse) error { return d.write(r) }

func (d *documents) Rollout(r *op25bv1.Rollout, _ *timestamppb.Timestamp, _ string) error {
	return d.write(r)
}

func (d *documents) Rollouts(r *op25bv1.ListRolloutsResponse) error { return d.write(r) }

func (d *documents) LeaseGranted(r *op25bv1.GrantLeaseResponse) error { return d.write(r) }

func (d *documents) LeaseRevoked(_ string, r *op25bv1.RevokeLeaseResponse) error { return d.write(r) }

// Forecast writes the forecast, and then the names if the caller asked for them.
func (d *documents) Forecast(r *op25bv1.ForecastResponse, named *op25bv1.ResolveLinesResponse) error {
	if err := d.write(r); err != nil || named == nil {
		return err
	}
	return d.write(named)
}

// Outlook writes the forecast.
func (d *documents) Outlook(r *op25bv1.ForecastResponse) error { return d.write(r) }
