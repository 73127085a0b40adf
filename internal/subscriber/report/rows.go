package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/policy"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// MaxLine is the largest length of a line of CSV in bytes.
const MaxLine = 16 << 10

// Names of columns. The attributes of lines have columns with their names.
const (
	columnEvent     = "event"
	columnSession   = "session"
	columnLine      = "line"
	columnAddresses = "addresses"
	columnTime      = "time"
	columnEnds      = "ends"
)

// Columns returns the names of all columns.
func Columns() []string {
	all := []string{columnEvent, columnSession, columnLine}
	for _, a := range attributes {
		all = append(all, string(a.by))
	}
	return append(all, columnAddresses, columnTime, columnEnds)
}

// Rows reads lines of CSV (RFC 4180) after a header line with the names of columns, in any order. A value must not contain a line break.
type Rows struct {
	file    string
	columns []string
}

// NewRows returns the Rows below a header, which is the first line of a file. The error is strict.Faults.
func NewRows(file, header string) (*Rows, error) {
	r := &Rows{file: file}
	values, at, err := r.split(1, strings.TrimPrefix(header, "\ufeff"))
	if err != nil {
		return nil, err
	}
	for i, name := range values {
		name = strings.TrimSpace(name)
		switch {
		case !slices.Contains(Columns(), name):
			return nil, r.fault(1, at(i), fmt.Sprintf("column %q is not known", name), "must be "+strict.OneOf(Columns()))
		case slices.Contains(r.columns, name):
			return nil, r.fault(1, at(i), fmt.Sprintf("column %q occurs twice", name), "give it once")
		}
		r.columns = append(r.columns, name)
	}
	if !slices.Contains(r.columns, columnEvent) {
		return nil, r.fault(1, 1, fmt.Sprintf("the header has no column %q", columnEvent), "the first line must have the names of the columns")
	}
	return r, nil
}

func (r *Rows) fault(line, column int, what, way string) error {
	return strict.Faults{{Pos: strict.Pos{File: r.file, Line: line, Col: column}, What: what, Way: way, Kind: policy.ErrInvalid}}
}

// split returns the values of a line, and a function that returns the column in which a value begins.
func (r *Rows) split(line int, text string) (values []string, at func(i int) int, err error) {
	if len(text) > MaxLine {
		return nil, nil, r.fault(line, 1, fmt.Sprintf("the line has %d bytes", len(text)), fmt.Sprintf("must have at most %d", MaxLine))
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	if values, err = c.Read(); err != nil {
		column := 1
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			column = parse.Column
		}
		return nil, nil, r.fault(line, column, "the line is not CSV", `quote a value that contains a comma or a quote: "olt-1, port ""3""", on one line`)
	}
	return values, func(i int) int { _, column := c.FieldPos(min(i, len(values)-1)); return column }, nil
}

// Event returns the event in a line with the given number. received is the present time. The error is strict.Faults.
func (r *Rows) Event(line int, text string, received time.Time) (*op25bv1.SessionEvent, error) {
	values, at, err := r.split(line, text)
	if err != nil {
		return nil, err
	}
	if len(values) != len(r.columns) {
		return nil, r.fault(line, at(len(r.columns)), fmt.Sprintf("the line has %d values", len(values)), fmt.Sprintf("must have %d, as the header", len(r.columns)))
	}
	m := &op25bv1.SessionEvent{}
	for i, column := range r.columns {
		if f := set(m, column, strings.TrimSpace(values[i]), received); f != nil {
			return nil, r.fault(line, at(i), fmt.Sprintf("%s %q: %s", column, values[i], f.what), f.way)
		}
	}
	if _, f := event(m, received); f != nil {
		return nil, r.wrong(line, values, at, f)
	}
	return m, nil
}

// wrong returns the fault of an event with the position and the value of its column.
func (r *Rows) wrong(line int, values []string, at func(int) int, f *wrong) error {
	field, _, _ := strings.Cut(f.field, "[")
	column := field
	for _, a := range attributes {
		if field == "identity."+a.field {
			column = string(a.by)
		}
	}
	if field == "kind" {
		column = columnEvent
	}
	i := slices.Index(r.columns, column)
	if i < 0 { // the column is missing
		return r.fault(line, 1, f.what, f.way)
	}
	return r.fault(line, at(i), fmt.Sprintf("%s %q: %s", column, values[i], f.what), f.way)
}

// set sets the field of a column. An empty value means that the event does not have the field.
func set(m *op25bv1.SessionEvent, column, value string, received time.Time) (f *wrong) {
	if value == "" {
		return nil
	}
	switch column {
	case columnEvent:
		m.Kind = op25bv1.SessionEventKind(op25bv1.SessionEventKind_value["SESSION_EVENT_KIND_"+strings.ToUpper(value)])
	case columnSession:
		m.Session = value
	case columnLine:
		m.Line = value
	case columnAddresses:
		m.Addresses = strings.Fields(value)
	case columnTime:
		m.Time, f = moment(value, received)
	case columnEnds:
		m.Ends, f = moment(value, received)
	default:
		if m.Identity == nil {
			m.Identity = &op25bv1.LineIdentity{}
		}
		for _, a := range attributes {
			if column == string(a.by) {
				a.set(m.Identity, value)
			}
		}
	}
	return f
}

// moment parses a time: RFC 3339, the seconds since 1970, or + and the seconds from received on.
func moment(value string, received time.Time) (*timestamppb.Timestamp, *wrong) {
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return timestamppb.New(t), nil
	}
	// 32 bits are enough until 2106, and cannot overflow a sum.
	if n, err := strconv.ParseUint(strings.TrimPrefix(value, "+"), 10, 32); err == nil {
		if strings.HasPrefix(value, "+") {
			return timestamppb.New(received.Add(time.Duration(n) * time.Second)), nil
		}
		return timestamppb.New(time.Unix(int64(n), 0)), nil
	}
	return nil, &wrong{"", "this is no time", "must be a time such as 2026-11-29T12:00:00+09:00, the seconds since 1970, or + and the seconds from now"}
}
