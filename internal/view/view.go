// Package view shows what a controller answers: to people as tables and text, to programs as JSON.
//
// It asks nobody and decides nothing. What it shows of others' texts, such as reasons and titles, cannot steer a terminal.
package view

import (
	"io"
	"time"

	op25bv1 "op25b/proto/op25b/v1"
)

// A View shows answers of the API, one method for each. People's and programs' are its two implementations.
type View interface {
	// Plan shows a plan. full leaves nothing of it out.
	Plan(p *op25bv1.Plan, full bool) error
	// Progress shows one message of how a change comes along.
	Progress(p *op25bv1.Progress) error
	// Switches shows how switches are.
	Switches(r *op25bv1.ListSwitchesResponse) error
	// Changes shows one message of a watch: at first all switches, then those that changed.
	Changes(r *op25bv1.WatchSwitchesResponse) error
	// Clocks shows the clocks of the controllers.
	Clocks(r *op25bv1.ListClocksResponse) error
	// Drift shows what another hand did to switches. full leaves nothing of it out.
	Drift(r *op25bv1.DriftResponse, full bool) error
	Phases(r *op25bv1.ListPhasesResponse) error
	Phase(r *op25bv1.ShowPhaseResponse) error
	// Preview shows what putting a phase in force would change.
	Preview(r *op25bv1.PreviewResponse) error
	Check(r *op25bv1.CheckResponse) error
	Mail(r *op25bv1.CheckMailResponse) error
	// History shows revisions, of which at most limit were asked for.
	History(r *op25bv1.HistoryResponse, limit int) error
	Diff(r *op25bv1.DiffResponse) error
	Records(r *op25bv1.ListRecordsResponse) error
	// Verified says whether the audit chain is what was appended; so many archives were verified with it.
	Verified(r *op25bv1.VerifyResponse, archives int) error
	// Archived says that audit records were moved into a file.
	Archived(r *op25bv1.PruneResponse, file string) error
	// Backup says what a backup has, and what was done with it, such as "saved in FILE".
	Backup(s *op25bv1.BackupSummary, done string) error
}

// Width is how many columns tables and text take at most; what is longer in itself, such as a line of a document, is not broken.
const Width = 100

// Options are what a view for people takes from its surroundings.
type Options struct {
	// Colour is for terminals.
	Colour bool
	// Now is the clock that ages are told by.
	Now func() time.Time
	// Location is where the caller is: times of answers that have no policy are shown in its zone.
	Location *time.Location
	// Language is that of texts for customers: "en", "ja", or empty for both.
	Language string
}

// Table returns the view for people.
func Table(w io.Writer, o Options) View {
	return &table{w: w, opts: o, shown: map[string]string{}}
}

// JSON returns the view for programs: each message on one line, as the API's own JSON has it (proto3 JSON), with every field that has a
// value, 0 and empty ones too.
func JSON(w io.Writer) View { return &documents{w} }

// A table is the view for people.
type table struct {
	w     io.Writer
	opts  Options
	begun time.Time         // of the change whose progress is shown
	made  uint64            // the revision that it made
	shown map[string]string // what was last said of a switch
}

var _ View = (*table)(nil)
