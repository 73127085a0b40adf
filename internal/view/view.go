// Package view renders the answers of a controller as tables and text for people, and as JSON for programs.
//
// The package sends no requests and makes no decisions. Names, reasons and other texts in an answer are escaped, so that they cannot
// control a terminal.
package view

import (
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// A View renders the responses of the API. It has one method for each kind of response. Table and JSON return its two implementations.
type View interface {
	// Plan shows a plan. If full is true, Plan also shows the lines of the documents that differ.
	Plan(p *op25bv1.Plan, full bool) error
	// Progress shows a single message about the progress of a change.
	Progress(p *op25bv1.Progress) error
	// Switches shows the state of each switch.
	Switches(r *op25bv1.ListSwitchesResponse) error
	// Changes shows a single message of a watch. The first message contains all switches, and later messages contain the switches that
	// changed.
	Changes(r *op25bv1.WatchSwitchesResponse) error
	// Counters shows what each switch counts.
	Counters(r *op25bv1.ListCountersResponse) error
	// CounterChanges shows a single message of a watch of counters. Messages of several controllers may be mixed.
	CounterChanges(r *op25bv1.WatchCountersResponse) error
	// Clocks shows the clocks of all controllers.
	Clocks(r *op25bv1.ListClocksResponse) error
	// Prove shows the result of a proof on a switch. If full is true, it shows the coverage of each table.
	Prove(r *op25bv1.ProveResponse, full bool) error
	// Drift shows how the switches have changed since the last write. If full is true, Drift does not shorten its lists.
	Drift(r *op25bv1.DriftResponse, full bool) error
	Phases(r *op25bv1.ListPhasesResponse) error
	Phase(r *op25bv1.ShowPhaseResponse) error
	// Preview shows the effect that an activation or a rollback would have.
	Preview(r *op25bv1.PreviewResponse) error
	// Scheduled shows an activation that was scheduled or cancelled. offset is the UTC offset of the policy.
	Scheduled(a *op25bv1.ScheduledActivation, offset string) error
	Check(r *op25bv1.CheckResponse) error
	Mail(r *op25bv1.CheckMailResponse) error
	// History shows revisions. limit is the maximum number of revisions that was requested.
	History(r *op25bv1.HistoryResponse, limit int) error
	Diff(r *op25bv1.DiffResponse) error
	// Documents shows the documents of a revision, or where they were saved if dir is not empty.
	Documents(r *op25bv1.ShowResponse, dir string) error
	// Approved shows which mass change was approved.
	Approved(q *op25bv1.ApproveRequest) error
	Records(r *op25bv1.ListRecordsResponse, asked Listing) error
	// Verified shows whether the audit chain is intact. archives is the number of archives that were verified with the chain.
	Verified(r *op25bv1.VerifyResponse, archives int) error
	// Archived shows which audit records were moved to a file.
	Archived(r *op25bv1.PruneResponse, file string) error
	// Forecast shows the lines that a phase would newly stop. named has the names of those that used port 25; it may be nil.
	Forecast(r *op25bv1.ForecastResponse, named *op25bv1.ResolveLinesResponse) error
	// Outlook shows a forecast in one sentence, as part of a preview.
	Outlook(r *op25bv1.ForecastResponse) error
	Offenders(r *op25bv1.ListOffendersResponse) error
	Resolved(r *op25bv1.ResolveLinesResponse) error
	Forgotten(r *op25bv1.ForgetLinesResponse) error
	// Sessions shows how many lines of each switch have a session.
	Sessions(r *op25bv1.ListSessionsResponse) error
	// ReportedLine shows the outcome of one line of reported sessions, and ReportedFile those of a file.
	ReportedLine(line int, outcome string) error
	ReportedFile(f ReportedFile) error
	// Found shows which line has an address.
	Found(r *op25bv1.FindAddressResponse, byName bool) error
	// Lines lists lines of the inventory.
	Lines(r *op25bv1.ListLinesResponse) error
	// Exemptions shows exemptions.
	Exemptions(r *op25bv1.ListExemptionsResponse) error
	// Leases shows the leases of lines and of addresses outside all lines.
	Leases(r *op25bv1.ListLeasesResponse) error
	// Rollout shows a rollout at a time. utcOffset is that of the policy, or empty.
	Rollout(r *op25bv1.Rollout, at *timestamppb.Timestamp, utcOffset string) error
	// Rollouts shows the rollouts, one a line.
	Rollouts(r *op25bv1.ListRolloutsResponse) error
	// LeaseGranted shows the lease of a line or an address after a grant, and LeaseRevoked whether it had one. An empty line means an address.
	LeaseGranted(r *op25bv1.GrantLeaseResponse) error
	LeaseRevoked(line string, r *op25bv1.RevokeLeaseResponse) error
	// Backup shows the contents of a backup. done describes what was done with the backup, such as "saved in FILE".
	Backup(s *op25bv1.BackupSummary, done string) error
}

// Width is the maximum width of tables and text, in columns. Lines of documents and single long words may be wider.
const Width = 100

// Options holds the options of a view for people.
type Options struct {
	// Colour enables ANSI colours, which only terminals can display.
	Colour bool
	// Now returns the current time, which is the basis for ages.
	Now func() time.Time
	// Location is the caller's time zone, in which times are shown if the answer has no policy.
	Location *time.Location
	// Language is the language of texts for customers: "en", "ja", or empty for both languages.
	Language string
}

// Table returns a view for people, which writes to w.
func Table(w io.Writer, o Options) View {
	return &table{w: w, opts: o, shown: map[string]string{}, counted: map[string]uint64{}}
}

// JSON returns a view for programs. It writes each message as one line of proto3 JSON, in the same form as the API and including zero and
// empty values.
func JSON(w io.Writer) View { return &documents{w} }

// A table is the view for people.
type table struct {
	w     io.Writer
	opts  Options
	begun time.Time         // the start of the change in progress
	made  uint64            // the revision that the change stored
	shown map[string]string // the last line shown for each switch
	// counted has the number of packets that were last shown for each total of a watch.
	counted map[string]uint64
}

var _ View = (*table)(nil)
