package exposition

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Family is a family of metrics with the same labels.
type Family struct {
	Name, Help string
	Gauge      bool     // true for a gauge, false for a counter
	Labels     []string // the label names; the first label has the same value for all samples of a Page.Group
}

// A Page writes families. After an error, it writes nothing more. The zero value is not usable; see NewPage.
type Page struct {
	w      io.Writer
	buf    []byte
	err    error
	family *Family
	start  []byte
}

// NewPage returns a page that writes to w.
func NewPage(w io.Writer) *Page { return &Page{w: w} }

// flushAt is the number of buffered bytes from which Flush writes.
const flushAt = 1 << 15

// Begin begins a family. Its samples follow.
func (p *Page) Begin(f *Family) {
	p.family = f
	kind := "counter"
	if f.Gauge {
		kind = "gauge"
	}
	p.buf = append(p.buf, "# HELP "+f.Name+" "+strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.Help)+"\n# TYPE "+f.Name+" "+kind+"\n"...)
}

// Group sets the value of the first label for the samples that follow.
func (p *Page) Group(value string) {
	p.start = append(append(p.start[:0], p.family.Name...), '{')
	p.start = appendLabel(p.start, p.family.Labels[0], value)
}

// Uint adds a sample. labels are the values of the remaining labels.
func (p *Page) Uint(n uint64, labels ...string) {
	p.labels(labels)
	p.buf = append(strconv.AppendUint(p.buf, n, 10), '\n')
}

// Float adds a sample. labels are the values of the remaining labels.
func (p *Page) Float(n float64, labels ...string) {
	p.labels(labels)
	p.buf = append(strconv.AppendFloat(p.buf, n, 'g', -1, 64), '\n')
}

func (p *Page) labels(values []string) {
	p.buf = append(p.buf, p.start...)
	for i, v := range values {
		p.buf = appendLabel(append(p.buf, ','), p.family.Labels[i+1], v)
	}
	p.buf = append(p.buf, "} "...)
}

func appendLabel(b []byte, name, value string) []byte {
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, string(utf8.RuneError))
	}
	b = append(append(b, name...), `="`...)
	for i := range len(value) {
		switch c := value[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// Flush writes the buffered samples if there are many, and returns the first error. The caller must not hold a lock on the values, because
// the reader of the page may be slow.
func (p *Page) Flush() error {
	if len(p.buf) >= flushAt {
		return p.End()
	}
	return p.err
}

// End writes the remaining samples, and returns the first error.
func (p *Page) End() error {
	if p.err == nil {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
	return p.err
}
