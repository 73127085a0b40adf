// Package chart draws a rate over time as an SVG image, for pages without script and without inline style.
//
// The package knows neither switches nor rules. The classes of its elements get their colours from base.css.
package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Chart is a rate over time, in steps of equal length. Each value is drawn over the whole width of its step, because it is the mean of that step.
type Chart struct {
	ID          string // begins the ids of elements, and so must be unique on a page and without spaces
	Title, Desc string // for people who cannot see the image
	Unit        string // of the values, such as packets/s
	From        time.Time
	Step        time.Duration
	// Recorded is the recorded share of each step, from 0 to 1. A step without recorded time is drawn as a gap. A step that was recorded in part has
	// a mark below.
	Recorded []float64
	// Points are ordered by step. A step without a point is a gap, and so is a point whose value is not a number, is infinite or negative.
	Points []Point
	Zone   *time.Location // of the times on the axis
}

// A Point is the value of a step.
type Point struct {
	Step  int // from 0
	Value float64
}

// The image has these measures, in units of its own. The plot is what the axes enclose.
const (
	width, height        = 320, 110
	left, right          = 12, 316
	top, bottom          = 18, 88
	wholly               = 0.99 // the smallest share that counts as recorded wholly, because records and steps do not begin at the same time
	textBelow, unitAbove = 103, 12
)

// SVG returns the image.
func (c Chart) SVG() template.HTML {
	var b strings.Builder
	id := template.HTMLEscapeString(c.ID)
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d">`, width, height, id, id)
	fmt.Fprintf(&b, `<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, id, template.HTMLEscapeString(c.Title), id, template.HTMLEscapeString(c.Desc))
	values := c.values()
	c.marks(&b, "gap", top, bottom-top, func(i int) bool { return math.IsNaN(values[i]) })
	c.marks(&b, "part", bottom+1, 3, func(i int) bool { return !math.IsNaN(values[i]) && c.Recorded[i] < wholly })
	most := Ceiling(values)
	fmt.Fprintf(&b, `<path class="axis" d="M%d %dH%dM%d %dH%d"/>`, left, top, right, left, bottom, right)
	if d := c.line(values, most); d != "" {
		fmt.Fprintf(&b, `<path class="line" d="%s"/>`, d)
	}
	fmt.Fprintf(&b, `<text x="2" y="%d">%s %s</text>`, unitAbove, Number(most), template.HTMLEscapeString(c.Unit))
	fmt.Fprintf(&b, `<text x="2" y="%d">0</text>`, bottom)
	if n := len(c.Recorded); n > 0 {
		for _, l := range []struct {
			class string
			x, at int
		}{{"", left, 0}, {"middle", (left + right) / 2, n}, {"end", right, 2 * n}} {
			at := c.From.Add(time.Duration(l.at) * c.Step / 2)
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="%s">%s</text>`, l.x, textBelow, l.class, c.time(at))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // all texts are escaped
}

// values returns the value of each step. It is NaN in a gap.
func (c Chart) values() []float64 {
	all := make([]float64, len(c.Recorded))
	for i := range all {
		all[i] = math.NaN()
	}
	for _, p := range c.Points {
		if p.Step >= 0 && p.Step < len(all) && p.Value >= 0 && !math.IsInf(p.Value, 1) && c.Recorded[p.Step] > 0 {
			all[p.Step] = p.Value
		}
	}
	return all
}

// marks draws a rectangle for each run of steps that are marked.
func (c Chart) marks(b *strings.Builder, class string, y, h int, marked func(i int) bool) {
	for i := 0; i < len(c.Recorded); i++ {
		begin := i
		for i < len(c.Recorded) && marked(i) {
			i++
		}
		if i > begin {
			fmt.Fprintf(b, `<rect class="%s" x="%s" y="%d" width="%s" height="%d"/>`, class, short(c.x(begin)), y, short(c.x(i)-c.x(begin)), h)
		}
	}
}

// line returns the path of the values. A gap interrupts it.
func (c Chart) line(values []float64, most float64) string {
	var b strings.Builder
	pen := false
	for i, v := range values {
		if math.IsNaN(v) {
			pen = false
			continue
		}
		y := short(bottom - (bottom-top)*(v/most)) // v/most is at most 1
		if pen {
			b.WriteString("V" + y)
		} else {
			b.WriteString("M" + short(c.x(i)) + " " + y)
		}
		b.WriteString("H" + short(c.x(i+1)))
		pen = true
	}
	return b.String()
}

// x returns the position at which a step begins.
func (c Chart) x(step int) float64 {
	return left + (right-left)*float64(step)/float64(len(c.Recorded))
}

func short(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// time formats a time on the axis. The day is left out if the chart is at most half a day long.
func (c Chart) time(t time.Time) string {
	layout := "01-02 15:04"
	switch whole := time.Duration(len(c.Recorded)) * c.Step; {
	case whole <= 12*time.Hour:
		layout = "15:04"
	case whole > 4*24*time.Hour:
		layout = "2006-01-02"
	}
	return t.In(c.Zone).Format(layout)
}

// Ceiling returns the smallest 1, 2 or 5 times a power of ten that is at least as large as all values. Without a value above 0, it returns 1.
func Ceiling(values []float64) float64 {
	most := 0.
	for _, v := range values {
		if v > most { // false for NaN
			most = v
		}
	}
	if most < math.SmallestNonzeroFloat64/1e-16 { // 0, or too small to be divided by
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, m := range []float64{1, 2, 5, 10} {
		if top := m * power; top >= most && !math.IsInf(top, 1) {
			return top
		}
	}
	return most
}

// Number formats a value with at most three digits and the SI prefix of its size.
func Number(v float64) string {
	prefixes := []string{"", " k", " M", " G", " T", " P", " E"}
	i := 0
	for v >= 999.5 && i < len(prefixes)-1 {
		v /= 1000
		i++
	}
	digits := 0
	switch {
	case v == 0 || v >= 99.95:
	case v >= 9.995:
		digits = 1
	case v >= 1:
		digits = 2
	default:
		digits = min(12, 2-int(math.Floor(math.Log10(v))))
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + prefixes[i]
}
