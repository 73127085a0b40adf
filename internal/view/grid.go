package view

import (
	"strings"

	"op25b/internal/view/prose"
)

// A grid is a table of at most Width columns. If it would be wider, the last column wraps if goesOn is set, and cells of the columns in
// shrink are cut with an ellipsis.
type grid struct {
	head   []string
	shrink []int // columns that may be cut; the widest is cut first
	goesOn bool  // the last column wraps
	rows   []row
}

type row struct {
	cells []string
	mark  string // the colour of the row, or empty
	below string // text below the row, or empty
}

func (g *grid) add(cells ...string) *row {
	for i := range cells {
		if cells[i] = plain(cells[i]); cells[i] == "" {
			cells[i] = "-"
		}
	}
	g.rows = append(g.rows, row{cells: cells})
	return &g.rows[len(g.rows)-1]
}

const (
	gap      = 2  // width between two cells
	minimum  = 8  // minimum width of a cell that is cut
	lastLeft = 24 // minimum width of a last column that wraps
	belowGap = 4
)

// text renders the table, with each line indented.
func (g *grid) text(t *table, indent string) string {
	widths := make([]int, len(g.head))
	for _, cells := range append([]row{{cells: g.head}}, g.rows...) {
		for i, c := range cells.cells {
			widths[i] = max(widths[i], prose.Columns(c))
		}
	}
	last := len(widths) - 1
	if g.goesOn {
		widths[last] = min(widths[last], lastLeft)
	}
	for total := g.total(widths, indent); total > Width; total = g.total(widths, indent) {
		widest := -1
		for _, i := range g.shrink {
			if widths[i] > minimum && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	var b strings.Builder
	line := func(cells []string, mark string) {
		l := indent
		for i, c := range cells[:last] {
			c = prose.Cut(c, widths[i])
			l += c + strings.Repeat(" ", widths[i]-prose.Columns(c)+gap)
		}
		if g.goesOn {
			l = strings.TrimSuffix(wrapped(l, cells[last], 0), "\n")
		} else {
			l += prose.Cut(cells[last], widths[last])
		}
		b.WriteString(t.colour(mark, strings.TrimRight(l, " ")) + "\n")
	}
	line(g.head, bold)
	for _, r := range g.rows {
		line(r.cells, r.mark)
		if r.below != "" {
			b.WriteString(wrapped(indent+strings.Repeat(" ", belowGap), plain(r.below), 0))
		}
	}
	return b.String()
}

func (g *grid) total(widths []int, indent string) int {
	n := len(indent)
	for _, w := range widths {
		n += w + gap
	}
	return n - gap
}
