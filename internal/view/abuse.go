package view

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Forecast shows the lines that a phase would newly stop. named has the names of the lines that used such mail. It is nil if the caller did not
// request them.
func (t *table) Forecast(r *op25bv1.ForecastResponse, named *op25bv1.ResolveLinesResponse) error {
	text := wrapped("", forecastLine(r), 4)
	if len(r.Rows) > 0 {
		g := grid{head: []string{"SWITCH", "GROUP", "LINES", "USED", "1 SERVER", "SEVERAL", "BOT-LIKE"}, shrink: []int{0, 1}}
		leases := slices.ContainsFunc(r.Rows, func(row *op25bv1.ForecastRow) bool { return row.AffectedByLease+row.UsedByLease > 0 })
		if leases {
			g.head = append(g.head, "BY LEASE")
		}
		for _, row := range r.Rows {
			mark := ""
			if row.BotLike > 0 {
				mark = yellow
			}
			cells := []string{
				row.Switch, row.Group, prose.Number(row.Affected), prose.Number(row.Used), prose.Number(row.OneServer), prose.Number(row.Several), prose.Number(row.BotLike),
			}
			if leases {
				cells = append(cells, fmt.Sprintf("%s of %s", prose.Number(row.UsedByLease), prose.Number(row.Used)))
			}
			g.add(cells...).mark = mark
		}
		text += g.text(t, "")
	}
	z := t.zone(r.UtcOffset)
	seen := make(map[string]bool)
	for _, row := range r.Rows {
		if young := t.opts.Now().Sub(row.Since.AsTime()) < time.Duration(r.Days)*24*time.Hour; young && !seen[row.Switch] {
			seen[row.Switch] = true
			text += wrapped("", fmt.Sprintf("%s is watched since %s: earlier use is not counted.", plain(row.Switch), z.moment(row.Since)), 4)
		}
	}
	if len(seen) == 0 && len(r.Rows) > 0 && r.Since != nil {
		text += wrapped("", fmt.Sprintf("All switches of the list are watched since %s.", z.moment(r.Since)), 4)
	}
	if named != nil {
		text += resolved(t, named)
	}
	_, err := io.WriteString(t.w, text+forecastNotes(r))
	return err
}

// Outlook shows a forecast in one sentence. It shows nothing if the phase newly stops no line.
func (t *table) Outlook(r *op25bv1.ForecastResponse) error {
	if len(r.Rows) == 0 && len(r.Missing) == 0 {
		return nil
	}
	_, err := io.WriteString(t.w, wrapped("", forecastLine(r), 4)+forecastNotes(r))
	return err
}

// forecastLine renders a forecast in one sentence.
func forecastLine(r *op25bv1.ForecastResponse) string {
	var affected, used, one, bots, affectedByLease, usedByLease uint32
	for _, row := range r.Rows {
		affected, used, one, bots = affected+row.Affected, used+row.Used, one+row.OneServer, bots+row.BotLike
		affectedByLease, usedByLease = affectedByLease+row.AffectedByLease, usedByLease+row.UsedByLease
	}
	text := fmt.Sprintf("Phase %s newly stops mail for %s", plain(r.Phase), prose.Count(affected, "line"))
	if affected == 0 {
		return text + "."
	}
	text += fmt.Sprintf("; %s used it in the last %d days", prose.Number(used), r.Days)
	if used > 0 {
		text += fmt.Sprintf(", %s with one server", prose.Number(one))
	}
	if bots > 0 {
		text += fmt.Sprintf(", %s bot-like", prose.Number(bots))
	}
	text += "."
	if affectedByLease+usedByLease > 0 {
		text += fmt.Sprintf(" By a lease, after a POP3 or IMAP login, it still passes for %s of these lines, and for %s of those that used it.",
			prose.Number(affectedByLease), prose.Number(usedByLease))
	}
	return text
}

// forecastNotes describes what a forecast does not include.
func forecastNotes(r *op25bv1.ForecastResponse) string {
	text := ""
	if len(r.Missing) > 0 {
		text += wrapped("", "Not included: "+prose.List(plainAll(r.Missing), manyNames)+
			". The owner of the switch has not answered, or no phase has begun on it.", 4)
	}
	if r.Incomplete {
		text += "Not all lines that use such mail were recorded: there are too many.\n"
	}
	if r.More > 0 {
		text += fmt.Sprintf("Not listed: %s that use such mail.\n", prose.Count(r.More, "further line"))
	}
	return text
}

func plainAll(names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = plain(n)
	}
	return all
}

// Offenders shows the active lines of the watched line groups.
func (t *table) Offenders(r *op25bv1.ListOffendersResponse) error {
	if len(r.Watched) == 0 {
		_, err := io.WriteString(t.w, "No line group is watched. Set watchInfected: true in a line group of the policy.\n")
		return err
	}
	text := ""
	if len(r.Offenders) > 0 {
		g := grid{head: []string{"PSEUDONYM", "CLASS", "ATTEMPTS", "SERVERS", "HOURS", "REASONS"}, shrink: []int{4}, goesOn: true}
		for _, o := range r.Offenders {
			mark := ""
			if o.Class == "bot-like" {
				mark = red
			}
			g.add(o.Id, o.Class, prose.Number(o.Attempts), prose.Number(o.Servers), hours(o.Hours), strings.Join(o.Reasons, "; ")).mark = mark
		}
		text = g.text(t, "")
	}
	text += wrapped("", fmt.Sprintf("%s on %s. Watched line groups: %s. Their activity is kept for %s.", prose.Count(r.Total, "active line"),
		plain(r.Controller), prose.List(plainAll(r.Watched), manyNames), prose.Count(r.Days, "day")), 4)
	if n := uint32(len(r.Offenders)); n < r.Total {
		text += fmt.Sprintf("Cut: the first %d; more: op25b offenders --limit N\n", n)
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// hours renders hours of the day as ranges: 9-12, 18.
func hours(all []uint32) string {
	var ranges []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		r := strconv.Itoa(int(all[i]))
		if j > i {
			r += "-" + strconv.Itoa(int(all[j]))
		}
		ranges = append(ranges, r)
		i = j + 1
	}
	return strings.Join(ranges, ", ")
}

// Resolved shows the names of lines.
func (t *table) Resolved(r *op25bv1.ResolveLinesResponse) error {
	_, err := io.WriteString(t.w, resolved(t, r))
	return err
}

func resolved(t *table, r *op25bv1.ResolveLinesResponse) string {
	if len(r.Lines) == 0 {
		return ""
	}
	g := grid{head: []string{"PSEUDONYM", "SWITCH", "LINE", "GROUP"}, shrink: []int{2, 1, 3}}
	for _, l := range r.Lines {
		g.add(l.Id, l.Switch, l.Line, l.Group)
	}
	return g.text(t, "") + fmt.Sprintf("Audit record %d says who asked, and why.\n", r.Record)
}

// Forgotten shows that the activity of lines was destroyed.
func (t *table) Forgotten(r *op25bv1.ForgetLinesResponse) error {
	_, err := io.WriteString(t.w, wrapped("", fmt.Sprintf("The activity of %s on %s and the key of its pseudonyms are destroyed. Audit record %d says so.",
		prose.Count(r.Lines, "line"), plain(r.Controller), r.Record), 4))
	return err
}

// ForecastCSV writes a forecast as CSV (RFC 4180). It writes a row for each switch and line group. If named is not nil, it writes a row for
// each line that used port 25 instead.
func ForecastCSV(w io.Writer, r *op25bv1.ForecastResponse, named *op25bv1.ResolveLinesResponse) error {
	number := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	if named == nil {
		rows := [][]string{{"phase", "switch", "group", "lines", "used", "one_server", "several", "bot_like", "since", "lines_by_lease", "used_by_lease"}}
		for _, x := range r.Rows {
			rows = append(rows, []string{
				r.Phase, x.Switch, x.Group, number(x.Affected), number(x.Used), number(x.OneServer), number(x.Several), number(x.BotLike),
				x.Since.AsTime().Format(time.RFC3339), number(x.AffectedByLease), number(x.UsedByLease),
			})
		}
		return writeCSV(w, rows)
	}
	names := make(map[string]string)
	for _, l := range named.Lines {
		names[l.Id] = l.Line
	}
	rows := [][]string{{"phase", "pseudonym", "switch", "line", "group", "servers", "class"}}
	for _, l := range r.Lines {
		servers := "one"
		if l.Several {
			servers = "several"
		}
		rows = append(rows, []string{r.Phase, l.Id, l.Switch, names[l.Id], l.Group, servers, l.Class})
	}
	return writeCSV(w, rows)
}

// OffendersCSV writes the active lines as CSV (RFC 4180).
func OffendersCSV(w io.Writer, r *op25bv1.ListOffendersResponse) error {
	rows := [][]string{{
		"pseudonym", "class", "since", "attempts", "servers", "unsolicited", "active_days", "hours", "monitored_packets", "stopped_packets", "reasons",
	}}
	for _, o := range r.Offenders {
		since := ""
		if o.Since != nil {
			since = o.Since.AsTime().Format(time.RFC3339)
		}
		number := func(n uint64) string { return strconv.FormatUint(n, 10) }
		rows = append(rows, []string{
			o.Id, o.Class, since, number(o.Attempts), number(o.Servers), number(o.Unsolicited), number(uint64(o.ActiveDays)), hours(o.Hours),
			number(o.MonitoredPackets), number(o.StoppedPackets), strings.Join(o.Reasons, "; "),
		})
	}
	return writeCSV(w, rows)
}

// writeCSV writes rows. A spreadsheet evaluates a cell that begins with a sign as a formula, so writeCSV puts an apostrophe before such a
// cell.
func writeCSV(w io.Writer, rows [][]string) error {
	out := csv.NewWriter(w)
	for _, row := range rows {
		for i, cell := range row {
			if cell = plain(cell); cell != "" && strings.ContainsRune("=+-@\t", rune(cell[0])) {
				cell = "'" + cell
			}
			row[i] = cell
		}
	}
	return out.WriteAll(rows)
}
