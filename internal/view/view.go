// Package view renders the answers of a controller: for people as tables and text, for programs as JSON.
//
// The package makes no requests and no decisions. Names, reasons and other texts of an answer are escaped, so that they cannot control a
// terminal.
package view

import (
	"io"
	"time"

	op25bv1 "op25b/proto/op25b/v1"
)

// A View renders responses of the API, with one method per response. Table and JSON return the two implementations.
type View interface {
	// Plan shows a plan, in full if full is set.
	Plan(p *op25bv1.Plan, full bool) error
	// Progress shows one message about the progress of a change.
	Progress(p *op25bv1.Progress) error
	// Switches shows the state of each switch.
	Switches(r *op25bv1.ListSwitchesResponse) error
	// Changes shows one message of a watch: all switches first, then the switches that changed.
	Changes(r *op25bv1.WatchSwitchesResponse) error
	// Clocks shows the clocks of the controllers.
	Clocks(r *op25bv1.ListClocksResponse) error
	// Drift shows how switches differ from the last write. All entries are shown if full is set.
	Drift(r *op25bv1.DriftResponse, full bool) error
	Phases(r *op25bv1.ListPhasesResponse) error
	Phase(r *op25bv1.ShowPhaseResponse) error
	// Preview shows the effect of activating a phase or rolling back.
	Preview(r *op25bv1.PreviewResponse) error
	Check(r *op25bv1.CheckResponse) error
	Mail(r *op25bv1.CheckMailResponse) error
	// History shows revisions. limit is the requested maximum.
	History(r *op25bv1.HistoryResponse, limit int) error
	Diff(r *op25bv1.DiffResponse) error
	Records(r *op25bv1.ListRecordsResponse) error
	// Verified shows whether the audit chain is intact. archives is the number of archives verified with it.
	Verified(r *op25bv1.VerifyResponse, archives int) error
	// Archived shows which audit records were moved to a file.
	Archived(r *op25bv1.PruneResponse, file string) error
	// Backup shows the contents of a backup, and what was done with it, such as "saved in FILE".
	Backup(s *op25bv1.BackupSummary, done string) error
}

// Width is the greatest width of tables and text, in columns. Lines of documents and single words may be wider.
const Width = 100

// Options configures a view for people.
type Options struct {
	// Colour enables ANSI colours, for terminals.
	Colour bool
	// Now returns the current time, from which ages are computed.
	Now func() time.Time
	// Location is the caller's zone, for the times of answers without a policy.
	Location *time.Location
	// Language is the language of texts for customers: "en", "ja", or empty for both.
	Language string
}

// Table returns the view for people.
func Table(w io.Writer, o Options) View {
	return &table{w: w, opts: o, shown: map[string]string{}}
}

// JSON returns the view for programs: each message on one line of proto3 JSON, as in the API, including fields with the value 0 or empty.
func JSON(w io.Writer) View { return &documents{w} }

// A table is the view for people.
type table struct {
	w     io.Writer
	opts  Options
	begun time.Time         // the time at which the change in progress began
	made  uint64            // the revision of the change
	shown map[string]string // the last line about each switch
}

var _ View = (*table)(nil)
