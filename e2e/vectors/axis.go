package vectors

import (
	"slices"
	"strings"
)

// An axis is a list of alternatives. Each alternative has a value for every column.
type axis struct {
	at      Pos
	name    string
	columns []string
	rows    []axisRow
}

type axisRow struct {
	name   span
	values []span
}

// addAxis reads a head of the form "axis NAME ; COLUMN ; COLUMN", and below it rows of the form "VALUE ; CELL ; CELL".
func (t *table) addAxis(head span, body []span) error {
	cells := head.split(";")
	a := &axis{at: head.pos(), name: cells[0].s}
	if first, again := t.axes[a.name]; again {
		return fault(head.pos(), "axis %q is there twice; the first is at %v", a.name, first.at)
	}
	for _, c := range cells {
		if !isVariable(c.s) {
			return fault(c.pos(), "axis or column name %q; it wants small letters, digits and _", c.s)
		}
		a.columns = append(a.columns, c.s)
	}
	for _, line := range body {
		row := line.split(";")
		if len(row) != len(a.columns) {
			return fault(line.pos(), "a row of %d cells; axis %s has the columns %s", len(row), a.name, strings.Join(a.columns, " ; "))
		}
		a.rows = append(a.rows, axisRow{row[0], row})
	}
	if len(a.rows) == 0 {
		return fault(head.pos(), "axis %q has no rows", a.name)
	}
	t.axes[a.name] = a
	return nil
}

func isVariable(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// choose reads AXIS, AXIS={ROW,ROW} or AXIS!={ROW,ROW}, and returns the axis with the chosen rows. If no axis has that
// name, AXIS={VALUE,VALUE} defines a new axis.
func (t *table) choose(w span) (*axis, error) {
	name, list, found := w.cut("=")
	without := strings.HasSuffix(name.s, "!")
	name.s = strings.TrimSuffix(name.s, "!")
	a := t.axes[name.s]
	if !found {
		if a == nil {
			return nil, fault(w.pos(), "unknown axis %q; valid are %s, or NAME={VALUE,VALUE}", w.s, oneOf(t.axes))
		}
		return a, nil
	}
	inner, ok := strings.CutPrefix(list.s, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !ok || !closed || inner == "" || !isVariable(name.s) {
		return nil, fault(list.pos(), "alternatives %q; they want the form NAME={VALUE,VALUE} without spaces", list.s)
	}
	items := list.sub(1, len(list.s)-1).split(",")
	chosen := &axis{at: w.pos(), name: name.s, columns: []string{name.s}}
	if a == nil {
		for _, item := range items {
			chosen.rows = append(chosen.rows, axisRow{item, []span{item}})
		}
		return chosen, nil
	}
	chosen.columns = a.columns
	wanted := map[string]bool{}
	for _, item := range items {
		if !slices.ContainsFunc(a.rows, func(r axisRow) bool { return r.name.s == item.s }) {
			rows := map[string]bool{}
			for _, r := range a.rows {
				rows[r.name.s] = true
			}
			return nil, fault(item.pos(), "axis %s has no row %q; valid are %s", a.name, item.s, oneOf(rows))
		}
		wanted[item.s] = true
	}
	for _, r := range a.rows {
		if wanted[r.name.s] != without {
			chosen.rows = append(chosen.rows, r)
		}
	}
	return chosen, nil
}

// distinct returns an error if an axis and an earlier axis have a column in common, because $NAME would be ambiguous.
func distinct(earlier []*axis, a *axis, at Pos) error {
	for _, e := range earlier {
		for _, c := range a.columns {
			if slices.Contains(e.columns, c) {
				return fault(at, "axes %s and %s both have a column %q; $%s would be either's", e.name, a.name, c, c)
			}
		}
	}
	return nil
}

// combine calls do with the values of each combination of rows. The last axis changes fastest.
func combine(axes []*axis, values map[string]span, do func(map[string]span) error) error {
	if len(axes) == 0 {
		return do(values)
	}
	for _, row := range axes[0].rows {
		for i, c := range axes[0].columns {
			values[c] = row.values[i]
		}
		if err := combine(axes[1:], values, do); err != nil {
			return err
		}
	}
	return nil
}

// fill replaces $NAME and ${NAME} by their values, also within values.
func fill(t span, values map[string]span) (span, error) {
	for n := 0; ; n++ {
		i := strings.IndexByte(t.s, '$')
		if i < 0 {
			return t, nil
		}
		if n == 100 {
			return t, fault(t.pos(), "%q never ends: its values stand for each other", t.s)
		}
		end := i + 1
		name := ""
		if strings.HasPrefix(t.s[end:], "{") {
			if j := strings.IndexByte(t.s[end:], '}'); j > 0 {
				name, end = t.s[end+1:end+j], end+j+1
			}
		} else {
			for end < len(t.s) && isVariable(t.s[end:end+1]) {
				end++
			}
			name = t.s[i+1 : end]
		}
		v, ok := values[name]
		if !ok {
			return t, fault(t.at[i], "unknown value $%s; valid here are %s", name, oneOf(values))
		}
		t = t.replace(i, end, v)
	}
}
