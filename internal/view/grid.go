package view

import (
	"strings"

	"op25b/internal/view/prose"
)

// A grid is a table with a width of at most Width columns. If the cells need more space, the last column is wrapped if goesOn is set,
// and the cells in the columns of shrink are cut with an ellipsis.
type grid struct {
	head   []string
	shrink []int // the indexes of columns that may be cut; the widest is cut first
	goesOn bool  // whether the last column is wrapped
	rows   []row
}

type row struct {
	cells []string
	mark  string // the colour code of the row; may be empty
	below string // the text to show below the row; may be empty
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
	gap      = 2  // the space between two columns
	minimum  = 8  // the minimum width of a column that is cut
	lastLeft = 24 // the minimum width of a last column that is wrapped
	belowGap = 4
)

// text renders the table. Each line begins with indent.
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
