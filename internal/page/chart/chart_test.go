package chart

import (
	"encoding/xml"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}

// A drawing is what a reader of the SVG finds, independently of the code that wrote it.
type drawing struct {
	XMLName  xml.Name `xml:"svg"`
	Role     string   `xml:"role,attr"`
	Labelled string   `xml:"aria-labelledby,attr"`
	Title    struct {
		ID   string `xml:"id,attr"`
		Text string `xml:",chardata"`
	} `xml:"title"`
	Desc struct {
		ID   string `xml:"id,attr"`
		Text string `xml:",chardata"`
	} `xml:"desc"`
	Rects []struct {
		Class string  `xml:"class,attr"`
		X     float64 `xml:"x,attr"`
		Y     float64 `xml:"y,attr"`
		Width float64 `xml:"width,attr"`
	} `xml:"rect"`
	Paths []struct {
		Class string `xml:"class,attr"`
		D     string `xml:"d,attr"`
	} `xml:"path"`
	Texts []string `xml:"text"`
}

func read(t interface{ Fatalf(string, ...any) }, c Chart) drawing {
	var d drawing
	text := string(c.SVG())
	if err := xml.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, bad := range []string{"NaN", "Inf", "style=", "<script", "e+", "e-"} {
		if strings.Contains(text, bad) {
			t.Fatalf("the image has %q:\n%s", bad, text)
		}
	}
	return d
}

// A flat is a horizontal piece of a line: a value over a time.
type flat struct{ x0, x1, y float64 }

var command = regexp.MustCompile(`([MHV])([0-9.]+)(?: ([0-9.]+))?`)

// flats returns the horizontal pieces of the line, as a reader of the path draws them.
func (d drawing) flats() (all []flat) {
	for _, p := range d.Paths {
		if p.Class != "line" {
			continue
		}
		x, y := 0., 0.
		for _, m := range command.FindAllStringSubmatch(p.D, -1) {
			v, _ := strconv.ParseFloat(m[2], 64)
			switch m[1] {
			case "M":
				x = v
				y, _ = strconv.ParseFloat(m[3], 64)
			case "V":
				y = v
			case "H":
				all = append(all, flat{x, v, y})
				x = v
			}
		}
	}
	return all
}

// TestPoints verifies a chart with a gap, a step that was recorded in part, and a single value between gaps.
func TestPoints(t *testing.T) {
	zone := time.FixedZone("", 9*60*60)
	c := Chart{
		ID: "c1", Title: `relay <up_dst> & "co"`, Desc: "most 4", Unit: "packets/s", From: time.Date(2006, 12, 2, 12, 0, 0, 0, time.UTC), Step: time.Minute,
		Recorded: []float64{1, 1, 0, 0, 1, 0, 0.5, 1}, Zone: zone,
		Points: []Point{{0, 4}, {1, 0}, {3, 9}, {4, 2}, {6, 1}, {7, 1}}, // step 3 was not recorded
	}
	d := read(t, c)
	if d.Role != "img" || d.Labelled != "c1-t c1-d" || d.Title.ID != "c1-t" || d.Desc.ID != "c1-d" || d.Title.Text != c.Title || d.Desc.Text != "most 4" {
		t.Errorf("%+v", d)
	}
	// The plot is 304 wide and 70 high, so a step is 38 wide, and 5 packets/s are 70 high.
	want := []flat{{12, 50, 32}, {50, 88, 88}, {164, 202, 60}, {240, 278, 74}, {278, 316, 74}}
	if diff := cmp.Diff(want, d.flats(), cmp.AllowUnexported(flat{})); diff != "" {
		t.Error(diff)
	}
	var marks []string
	for _, r := range d.Rects {
		marks = append(marks, fmt.Sprintf("%s %v+%v", r.Class, r.X, r.Width))
	}
	if diff := cmp.Diff([]string{"gap 88+76", "gap 202+38", "part 240+38"}, marks); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"5 packets/s", "0", "21:00", "21:04", "21:08"}, d.Texts); diff != "" {
		t.Error(diff)
	}
}

func TestTimesOfTheAxis(t *testing.T) {
	from := time.Date(2006, 12, 2, 12, 0, 0, 0, time.UTC)
	for step, want := range map[time.Duration][]string{
		10 * time.Minute: {"12:00", "14:00", "16:00"},
		time.Hour:        {"12-02 12:00", "12-03 00:00", "12-03 12:00"},
		24 * time.Hour:   {"2006-12-02", "2006-12-14", "2006-12-26"},
	} {
		d := read(t, Chart{From: from, Step: step, Recorded: make([]float64, 24), Zone: time.UTC})
		if diff := cmp.Diff(want, d.Texts[2:]); diff != "" {
			t.Errorf("%v: %s", step, diff)
		}
	}
}

// TestNothing verifies charts without steps, without records, and with values that are none.
func TestNothing(t *testing.T) {
	none := Chart{Zone: time.UTC, Unit: "packets/s"}
	if d := read(t, none); len(d.Rects) != 0 || len(d.flats()) != 0 || !slices.Equal(d.Texts, []string{"1 packets/s", "0"}) {
		t.Errorf("no steps: %+v", d)
	}
	gap := Chart{Zone: time.UTC, Step: time.Minute, Recorded: make([]float64, 5), Points: []Point{{1, 5}}}
	if d := read(t, gap); len(d.Rects) != 1 || d.Rects[0].Width != right-left || len(d.flats()) != 0 {
		t.Errorf("no records: %+v", d)
	}
	bad := Chart{Zone: time.UTC, Step: time.Minute, Recorded: []float64{1, 1, 1, 1}, Points: []Point{{-1, 5}, {0, math.NaN()}, {1, math.Inf(1)}, {2, -1}, {4, 1}}}
	if d := read(t, bad); len(d.flats()) != 0 || len(d.Rects) != 1 {
		t.Errorf("no values: %+v", d)
	}
	one := Chart{Zone: time.UTC, Step: time.Minute, Recorded: []float64{1}, Points: []Point{{0, 0}}}
	if d := read(t, one); len(d.Rects) != 0 || !slices.Equal(d.flats(), []flat{{left, right, bottom}}) {
		t.Errorf("one value: %+v", d)
	}
}

// TestAnyPoints draws any values in any steps. A reader must find each value at its time and in proportion to the others, and nothing else.
func TestAnyPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Chart{Step: time.Minute, Zone: time.UTC, Recorded: make([]float64, rapid.IntRange(1, 200).Draw(t, "steps"))}
		scale := math.Pow(10, float64(rapid.IntRange(-12, 300).Draw(t, "scale")))
		want := map[int]float64{}
		for i := range c.Recorded {
			c.Recorded[i] = rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "recorded")
			if v := rapid.Float64Range(0, 1e6).Draw(t, "value") * scale; rapid.Bool().Draw(t, "known") {
				c.Points = append(c.Points, Point{i, v})
				if c.Recorded[i] > 0 {
					want[i] = v
				}
			}
		}
		most := Ceiling(slices.Collect(func(yield func(float64) bool) {
			for _, v := range want {
				if !yield(v) {
					return
				}
			}
		}))
		d := read(t, c)
		wide := float64(right-left) / float64(len(c.Recorded))
		got := d.flats()
		if len(got) != len(want) {
			t.Fatalf("%d values are drawn, want %d", len(got), len(want))
		}
		for _, f := range got {
			i := int(math.Round((f.x0 - left) / wide))
			v, there := want[i]
			if y := float64(bottom) - (bottom-top)*v/most; !there || math.Abs(f.y-y) > 0.01 || math.Abs(f.x1-f.x0-wide) > 0.02 || f.y < top || f.y > bottom {
				t.Fatalf("step %d: %v at %+v", i, v, f)
			}
		}
		gaps := 0.
		for _, r := range d.Rects {
			if r.Class == "gap" {
				gaps += r.Width
			}
		}
		if n := float64(len(c.Recorded)-len(want)) * wide; math.Abs(gaps-n) > 0.02*float64(len(c.Recorded)) {
			t.Fatalf("%v of the width is a gap, want %v", gaps, n)
		}
	})
}

func TestCeiling(t *testing.T) {
	for _, c := range []struct{ most, want float64 }{
		{0, 1}, {1, 1}, {1.01, 2}, {2.5, 5}, {7, 10}, {1e6, 1e6}, {3e-4, 5e-4}, {math.MaxUint64, 2e19}, {5e-324, 1}, {math.MaxFloat64, math.MaxFloat64},
	} {
		if got := Ceiling([]float64{math.NaN(), c.most, 0}); math.Abs(got/c.want-1) > 1e-9 {
			t.Errorf("%v: %v, want %v", c.most, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 2.5: "2.5", 0.25: "0.25", 0.000512345: "0.000512", 12.34: "12.3", 123.4: "123", 999.6: "1 k", 1234: "1.23 k", 5e6: "5 M", 2e19: "20 E", 1e-20: "0",
	} {
		if got := Number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
