package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/p4src"
)

// The sizes of cells of state, in bits. P4Runtime reads counts as 64-bit numbers. The size of a meter's cell depends on the platform, and the
// page assumes two buckets and two times of 32 bits each.
const (
	countBits = 64
	meterBits = 128
)

// A pipelineDoc is the parsed page docs/pipeline.md.
type pipelineDoc struct {
	sections map[string][]string // the lines of each section; the key is the heading without marks and number
	text     string              // the whole page, with each run of white space replaced by one blank
}

func readPipelineDoc(t *testing.T) pipelineDoc {
	t.Helper()
	page, err := os.ReadFile("../docs/pipeline.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`^##? (?:\d+\. )?(.*)$`)
	d := pipelineDoc{sections: map[string][]string{}, text: oneBlank(string(page))}
	at := ""
	for line := range strings.Lines(string(page)) {
		line = strings.TrimRight(line, "\n")
		if m := heading.FindStringSubmatch(line); m != nil {
			at = m[1]
		}
		d.sections[at] = append(d.sections[at], line)
	}
	return d
}

func oneBlank(s string) string { return strings.Join(strings.Fields(s), " ") }

// row returns the row of a section's tables that has the given first cell, or "" if there is none.
func (d pipelineDoc) row(section, first string) string {
	i := slices.IndexFunc(d.sections[section], func(line string) bool { return strings.HasPrefix(line, "| "+first+" |") })
	if i < 0 {
		return ""
	}
	return d.sections[section][i]
}

// wantRow verifies that a row of a section's tables begins with the given cells.
func (d pipelineDoc) wantRow(t *testing.T, section, first string, cells ...string) {
	t.Helper()
	want := "| " + strings.Join(append([]string{first}, cells...), " | ") + " |"
	switch got := d.row(section, first); {
	case got == "":
		t.Errorf("docs/pipeline.md, %q: there is no row %s; it should be\n%s", section, first, want)
	case !strings.HasPrefix(got, want):
		t.Errorf("docs/pipeline.md, %q: row %s is\n%s\nand should be\n%s", section, first, got, want)
	}
}

func code(name string) string { return "`" + name + "`" }

func hexID(p *configv1.Preamble) string { return fmt.Sprintf("%#08x", p.GetId()) }

// tableActions returns the actions that a table permits, except those that only the default entry may have.
func tableActions(info *configv1.P4Info, t *configv1.Table) []*configv1.Action {
	var found []*configv1.Action
	for _, ref := range t.GetActionRefs() {
		if ref.GetScope() == configv1.ActionRef_DEFAULT_ONLY {
			continue
		}
		i := slices.IndexFunc(info.GetActions(), func(a *configv1.Action) bool { return a.GetPreamble().GetId() == ref.GetId() })
		found = append(found, info.GetActions()[i])
	}
	return found
}

// TestPipelineDocNamesEverything verifies that the page lists every table with its id, key and actions, every action with its parameters, all
// state, and the exact text of every restriction.
func TestPipelineDocNamesEverything(t *testing.T) {
	doc, info := readPipelineDoc(t), p4src.P4Info()
	if len(info.GetTables()) == 0 {
		t.Fatal("the P4Info has no tables")
	}
	for _, table := range info.GetTables() {
		var key, actions []string
		for _, m := range table.GetMatchFields() {
			kind := strings.ToLower(m.GetMatchType().String())
			if m.GetMatchType() == configv1.MatchField_LPM {
				kind = "LPM"
			}
			key = append(key, fmt.Sprintf("%s %s %d", code(m.GetName()), kind, m.GetBitwidth()))
		}
		for _, a := range tableActions(info, table) {
			actions = append(actions, actionText(a))
		}
		p := table.GetPreamble()
		want := fmt.Sprintf("**%s** (%s). Key: %s. Actions: %s.", code(p.GetAlias()), hexID(p), orNone(key), strings.Join(actions, "; "))
		if !strings.Contains(doc.text, want) {
			t.Errorf("docs/pipeline.md: table %q should be described by\n%s", p.GetAlias(), want)
		}
		wantRestrictions(t, doc, p)
	}
	for _, a := range info.GetActions() {
		if name := a.GetPreamble().GetAlias(); !strings.Contains(doc.text, code(name)) {
			t.Errorf("docs/pipeline.md: action %q is not in it", name)
		}
		wantRestrictions(t, doc, a.GetPreamble())
	}
	for _, d := range info.GetDigests() {
		var members []string
		bits := 0
		for _, m := range info.GetTypeInfo().GetStructs()[d.GetTypeSpec().GetStruct().GetName()].GetMembers() {
			width := m.GetTypeSpec().GetBitstring().GetBit().GetBitwidth()
			members = append(members, fmt.Sprintf("%s %d", code(m.GetName()), width))
			bits += int(width)
		}
		p := d.GetPreamble()
		doc.wantRow(t, "State", code(p.GetAlias()), hexID(p), "digest", "| "+fmt.Sprint(bits)) // a digest has no number of cells
		if want := "A " + code(p.GetAlias()) + " is " + strings.Join(members, ", ") + "."; !strings.Contains(doc.text, want) {
			t.Errorf("docs/pipeline.md: digest %q should be described by\n%s", p.GetAlias(), want)
		}
	}
}

// actionText returns an action's name, id and parameters as the page writes them.
func actionText(a *configv1.Action) string {
	var params []string
	for _, p := range a.GetParams() {
		params = append(params, fmt.Sprintf("%s %d", code(p.GetName()), p.GetBitwidth()))
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%s) %s", code(a.GetPreamble().GetAlias()), hexID(a.GetPreamble()), strings.Join(params, ", ")))
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

var restriction = regexp.MustCompile(`(?s)^@(?:entry|action)_restriction\("(.*)"\)$`)

func wantRestrictions(t *testing.T, doc pipelineDoc, p *configv1.Preamble) {
	t.Helper()
	for _, annotation := range p.GetAnnotations() {
		m := restriction.FindStringSubmatch(annotation)
		if m == nil {
			continue
		}
		if text := oneBlank(m[1]); !strings.Contains(doc.text, text) {
			t.Errorf("docs/pipeline.md: the restriction of %q is not in it:\n%s", p.GetAlias(), text)
		}
	}
}

// A state describes data that the program keeps between frames.
type state struct {
	name  *configv1.Preamble
	kind  string
	cells int64
	bits  int64 // the size of a cell
}

func states(info *configv1.P4Info) []state {
	tableSize := func(id uint32) int64 {
		i := slices.IndexFunc(info.GetTables(), func(t *configv1.Table) bool { return t.GetPreamble().GetId() == id })
		return info.GetTables()[i].GetSize()
	}
	counts := func(c *configv1.CounterSpec) int64 {
		if c.GetUnit() == configv1.CounterSpec_BOTH {
			return 2 * countBits
		}
		return countBits
	}
	var all []state
	for _, c := range info.GetCounters() {
		all = append(all, state{c.GetPreamble(), "counter", c.GetSize(), counts(c.GetSpec())})
	}
	for _, c := range info.GetDirectCounters() {
		all = append(all, state{c.GetPreamble(), "direct counter", tableSize(c.GetDirectTableId()), counts(c.GetSpec())})
	}
	for _, m := range info.GetMeters() {
		all = append(all, state{m.GetPreamble(), "meter", m.GetSize(), meterBits})
	}
	for _, m := range info.GetDirectMeters() {
		all = append(all, state{m.GetPreamble(), "direct meter", tableSize(m.GetDirectTableId()), meterBits})
	}
	for _, r := range info.GetRegisters() {
		all = append(all, state{r.GetPreamble(), "register", int64(r.GetSize()), int64(r.GetTypeSpec().GetBitstring().GetBit().GetBitwidth())})
	}
	return all
}

// The kinds of tables, as the page names them.
const (
	kindExact   = "exact: SRAM, hash"
	kindLPM     = "LPM: SRAM or TCAM"
	kindTernary = "ternary: TCAM"
	kindNone    = "no key: a register"
)

// A memory describes a table's size by its entries, the bits of its key, and the bits of its widest action's parameters.
type memory struct {
	kind               string
	entries, key, data int64
}

func memoryOf(info *configv1.P4Info, t *configv1.Table) memory {
	m := memory{kind: kindNone, entries: t.GetSize()}
	for _, f := range t.GetMatchFields() {
		m.key += int64(f.GetBitwidth())
		switch {
		case f.GetMatchType() == configv1.MatchField_TERNARY:
			m.kind = kindTernary
		case f.GetMatchType() == configv1.MatchField_LPM && m.kind != kindTernary:
			m.kind = kindLPM
		case m.kind == kindNone:
			m.kind = kindExact
		}
	}
	for _, a := range tableActions(info, t) {
		bits := int64(0)
		for _, p := range a.GetParams() {
			bits += int64(p.GetBitwidth())
		}
		m.data = max(m.data, bits)
	}
	return m
}

// TestPipelineDocMemory verifies that every row and the totals of the page's tables of memory and state match the P4Info.
func TestPipelineDocMemory(t *testing.T) {
	doc, info := readPipelineDoc(t), p4src.P4Info()
	known := map[string][]string{"Memory": {"table", "in all"}, "State": {"name"}} // the known first cells of each section
	want := func(section, first string, cells ...string) {
		t.Helper()
		known[section] = append(known[section], first)
		doc.wantRow(t, section, first, cells...)
	}

	keys, data := map[string]int64{}, map[string]int64{}
	for _, table := range info.GetTables() {
		m := memoryOf(info, table)
		keys[m.kind] += m.entries * m.key
		data[m.kind] += m.entries * m.data
		want("Memory", code(table.GetPreamble().GetAlias()), grouped(m.entries), fmt.Sprint(m.key), fmt.Sprint(m.data), m.kind, size(m.entries*(m.key+m.data)))
	}
	kept := int64(0)
	for _, s := range states(info) {
		kept += s.cells * s.bits
		want("State", code(s.name.GetAlias()), hexID(s.name), s.kind, grouped(s.cells), fmt.Sprint(s.bits), size(s.cells*s.bits))
	}
	for _, d := range info.GetDigests() {
		known["State"] = append(known["State"], code(d.GetPreamble().GetAlias()))
	}

	sram := keys[kindExact] + data[kindExact] + data[kindLPM] + data[kindTernary] + kept
	want("Memory", "where LPM is in SRAM", inAll(sram+keys[kindLPM]), inAll(keys[kindTernary]))
	want("Memory", "where LPM is in TCAM", inAll(sram), inAll(keys[kindTernary]+keys[kindLPM]))

	for section, rows := range known {
		for _, line := range doc.sections[section] {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
			if strings.HasPrefix(line, "| ") && !slices.Contains(rows, first) {
				t.Errorf("docs/pipeline.md, %q: row %s is of nothing that the P4Info has", section, first)
			}
		}
	}
}

// size returns a number of bits as text, in bits or in KiB.
func size(bits int64) string {
	if bits < 8*1024 {
		return grouped(bits) + " bits"
	}
	return fmt.Sprintf("%s KiB", kib(bits))
}

func inAll(bits int64) string {
	return fmt.Sprintf("%s KiB, %.2f Mbit", kib(bits), float64(bits)/(1<<20))
}

// kib converts a number of bits to KiB, rounded to hundredths.
func kib(bits int64) string {
	hundredths := (bits*100 + 4*1024) / (8 * 1024)
	return fmt.Sprintf("%s.%02d", grouped(hundredths/100), hundredths%100)
}

// grouped returns a number as text, with commas between groups of three digits.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
