package feed

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-ical"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/examples"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/article"
	"op25b/internal/portal/content"
	"op25b/internal/portal/notice"
)

// shipped returns the example's content.
func shipped(t *testing.T) *content.Content {
	t.Helper()
	c, err := content.Load(examples.Portal())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An atomFeed has what RFC 4287 requires of a feed and an entry (sections 4.1.1 and 4.1.2), and nothing that Atom shares with its writer.
type atomFeed struct {
	XMLName xml.Name
	Attrs   []xml.Attr    `xml:",any,attr"`
	ID      []string      `xml:"http://www.w3.org/2005/Atom id"`
	Title   []string      `xml:"http://www.w3.org/2005/Atom title"`
	Updated []string      `xml:"http://www.w3.org/2005/Atom updated"`
	Author  []string      `xml:"http://www.w3.org/2005/Atom author>name"`
	Links   []atomElement `xml:"http://www.w3.org/2005/Atom link"`
	Entries []struct {
		Attrs     []xml.Attr    `xml:",any,attr"`
		ID        []string      `xml:"http://www.w3.org/2005/Atom id"`
		Title     []string      `xml:"http://www.w3.org/2005/Atom title"`
		Updated   []string      `xml:"http://www.w3.org/2005/Atom updated"`
		Published []string      `xml:"http://www.w3.org/2005/Atom published"`
		Links     []atomElement `xml:"http://www.w3.org/2005/Atom link"`
		Content   []atomElement `xml:"http://www.w3.org/2005/Atom content"`
	} `xml:"http://www.w3.org/2005/Atom entry"`
}

type atomElement struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
	Text string `xml:",chardata"`
}

func attr(list []xml.Attr, local string) string {
	for _, a := range list {
		if a.Name.Local == local && a.Name.Space == "http://www.w3.org/XML/1998/namespace" {
			return a.Value
		}
	}
	return ""
}

// readAtom parses a feed strictly and checks the elements that are required exactly once, and their form.
func readAtom(t testing.TB, data []byte) atomFeed {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = true
	var f atomFeed
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if f.XMLName != (xml.Name{Space: "http://www.w3.org/2005/Atom", Local: "feed"}) {
		t.Fatalf("the root is %v", f.XMLName)
	}
	one := func(what string, list []string, form func(string) error) {
		t.Helper()
		if len(list) != 1 || form(list[0]) != nil {
			t.Errorf("%s: %q", what, list)
		}
	}
	some := func(s string) error {
		if strings.TrimSpace(s) == "" {
			return fmt.Errorf("empty")
		}
		return nil
	}
	date := func(s string) error { _, err := time.Parse(time.RFC3339, s); return err }
	iri := func(s string) error {
		u, err := url.Parse(s)
		if err == nil && u.Scheme == "" {
			err = fmt.Errorf("relative")
		}
		return err
	}
	one("feed id", f.ID, iri)
	one("feed title", f.Title, some)
	one("feed updated", f.Updated, date)
	one("feed author", f.Author, some)
	seen := map[string]bool{}
	for _, e := range f.Entries {
		one("entry id", e.ID, iri)
		one("entry title", e.Title, some)
		one("entry updated", e.Updated, date)
		one("entry published", e.Published, date)
		if seen[e.ID[0]] {
			t.Errorf("two entries have the id %s", e.ID[0])
		}
		seen[e.ID[0]] = true
		if len(e.Links) != 1 || e.Links[0].Rel != "alternate" || iri(e.Links[0].Href) != nil || len(e.Content) != 1 || e.Content[0].Type != "html" {
			t.Errorf("entry %s: %+v, %+v", e.ID[0], e.Links, e.Content)
		}
	}
	return f
}

// TestAtomOfNotices verifies the feed of the example's notices in both languages.
func TestAtomOfNotices(t *testing.T) {
	c := shipped(t)
	offset, err := policy.ParseOffset("+09:00")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, name := range article.Pages() {
		pages[name] = "ja/" + name
	}
	for _, id := range c.Notices.IDs() {
		pages[notice.PageOf(id)] = "ja/notices/" + id
	}
	for _, l := range lang.All() {
		f := Feed{Site: c.Site, Language: l, Title: "お知らせ & <notices>", Path: "feed." + string(l) + ".atom", Page: string(l) + "/notices", Updated: time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC)}
		today := policy.Date{Year: 2026, Month: time.November, Day: 29}
		for _, n := range append(c.Notices.Current(l, today), c.Notices.Back(l, today)...) {
			html, err := n.Render(article.Given{Site: c.Site, Pages: pages}.Values(l))
			if err != nil {
				t.Fatal(err)
			}
			f.Entries = append(f.Entries, NoticeEntry(n, string(l)+"/notices/"+n.ID, html, offset))
		}
		data, err := f.Atom()
		if err != nil {
			t.Fatal(err)
		}
		got := readAtom(t, data)
		if len(got.Entries) != 4 || got.Title[0] != f.Title || attr(got.Attrs, "lang") != string(l) || attr(got.Attrs, "base") != "https://mail-check.isp.example/" {
			t.Errorf("%d entries, %+v", len(got.Entries), got)
		}
		first := got.Entries[0]
		if want := "tag:mail-check.isp.example,2026-05-01:notice/2026-05-01-sim/" + string(l); first.ID[0] != want {
			t.Errorf("id %s, want %s", first.ID[0], want)
		}
		// The day begins in Japan, nine hours earlier in UTC.
		if first.Published[0] != "2026-04-30T15:00:00Z" || got.Updated[0] != first.Updated[0] {
			t.Errorf("published %s, feed updated %s", first.Published[0], got.Updated[0])
		}
		if !strings.Contains(first.Content[0].Text, `<a href="ja/check">`) || first.Links[0].Href != "https://mail-check.isp.example/"+string(l)+"/notices/2026-05-01-sim" {
			t.Errorf("%+v", first)
		}
		last := got.Entries[3]
		if last.Updated[0] != "2021-09-27T15:00:00Z" {
			t.Errorf("the last entry was updated %s", last.Updated[0])
		}
	}
}

// TestAtomBounds verifies that an empty feed is valid, that the oldest entries are left out, and that an entry in another language says so.
func TestAtomBounds(t *testing.T) {
	f := Feed{Site: shipped(t).Site, Language: lang.Japanese, Title: "t", Path: "f", Page: "p", Updated: time.Date(2006, 5, 18, 0, 0, 0, 0, time.UTC)}
	data, err := f.Atom()
	if err != nil {
		t.Fatal(err)
	}
	if got := readAtom(t, data); got.Updated[0] != "2006-05-18T00:00:00Z" || len(got.Entries) != 0 {
		t.Errorf("%+v", got)
	}
	for i := range MaxEntries + 5 {
		at := f.Updated.AddDate(0, 0, i)
		f.Entries = append(f.Entries, Entry{Name: fmt.Sprint("e", i), Day: policy.Date{Year: 2006, Month: 5, Day: 18}, Title: "t", Published: at, Updated: at, Language: lang.English})
	}
	if data, err = f.Atom(); err != nil {
		t.Fatal(err)
	}
	got := readAtom(t, data)
	if len(got.Entries) != MaxEntries || !strings.HasSuffix(got.Entries[0].ID[0], fmt.Sprintf(":e%d/ja", MaxEntries+4)) || attr(got.Entries[0].Attrs, "lang") != "en" {
		t.Errorf("%d entries, the first is %+v", len(got.Entries), got.Entries[0])
	}
}

// TestAtomEscapes verifies that no title, name or content can bring an element into a feed.
func TestAtomEscapes(t *testing.T) {
	site := *shipped(t).Site
	rapid.Check(t, func(rt *rapid.T) {
		title, html := "x"+rapid.String().Draw(rt, "title"), rapid.String().Draw(rt, "html")
		site.Name.EN = "x" + rapid.String().Draw(rt, "name")
		f := Feed{Site: &site, Language: lang.English, Title: title, Path: "f", Page: "p", Entries: []Entry{{Name: "e", Day: policy.Date{Year: 2006, Month: 5, Day: 18}, Title: title, HTML: template.HTML(html)}}}
		data, err := f.Atom()
		if err != nil {
			rt.Fatal(err)
		}
		got := readAtom(t, data)
		legal := strings.Map(func(r rune) rune { // XML has no other control characters, and reads CR as LF unless it is escaped
			if r < ' ' && !strings.ContainsRune("\t\n\r", r) || r == 0xfffe || r == 0xffff {
				return utf8.RuneError
			}
			return r
		}, html)
		if len(got.Entries) != 1 || got.Entries[0].Content[0].Text != legal {
			rt.Fatalf("%q became %q", legal, got.Entries[0].Content[0].Text)
		}
	})
}

// readCalendar parses a calendar with another library than the one that wrote it, and checks what RFC 5545 requires of lines.
func readCalendar(t interface{ Fatalf(string, ...any) }, data []byte) *ical.Calendar {
	if !bytes.HasSuffix(data, []byte("\r\n")) {
		t.Fatalf("the last line does not end with CRLF")
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\r\n")), []byte("\r\n")) {
		if len(line) > 75 || bytes.ContainsAny(line, "\r\n") || !utf8.Valid(line) {
			t.Fatalf("line of %d octets: %q", len(line), line)
		}
	}
	cal, err := ical.NewDecoder(bytes.NewReader(data)).Decode()
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	for _, component := range append([]*ical.Component{cal.Component}, cal.Children...) {
		for name, all := range component.Props {
			for _, p := range all {
				for param, values := range p.Params { // a parameter may occur once (section 3.2)
					if len(values) != 1 {
						t.Fatalf("%s has the parameter %s %d times: %q", name, param, len(values), values)
					}
				}
			}
		}
	}
	// The encoder checks which properties are required and which may occur once.
	if len(cal.Children) > 0 {
		if err := ical.NewEncoder(&bytes.Buffer{}).Encode(cal); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
	}
	return cal
}

func text(t interface{ Fatalf(string, ...any) }, c *ical.Component, name string) string {
	s, err := c.Props.Text(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func TestCalendar(t *testing.T) {
	c := Calendar{Site: shipped(t).Site, Language: lang.Japanese, Title: "25番ポートの規制"}
	intent, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	stored := time.Date(2006, 5, 1, 9, 30, 0, 0, time.FixedZone("", 9*3600))
	for _, ph := range intent.Policy.Phases {
		c.Events = append(c.Events, Event{
			Name: "phase/" + ph.Name, Day: ph.Effective.Date, Title: "25番ポートの規制が変わります: " + ph.Title, Path: "ja/programme", Changed: stored, Revision: 3,
			Text: "当社のメールサーバーを通らずに、携帯電話会社のメールサーバーへ直接送るメールを止めます。\nくわしくは、このページをご覧ください; a, b \\ c.",
		})
	}
	data := c.ICalendar()
	cal := readCalendar(t, data)
	if text(t, cal.Component, "VERSION") != "2.0" || text(t, cal.Component, "NAME") != c.Title || text(t, cal.Component, "X-WR-CALNAME") != c.Title || !strings.Contains(text(t, cal.Component, "PRODID"), "op25b") {
		t.Errorf("%s", data)
	}
	events := cal.Events()
	if len(events) != len(intent.Policy.Phases) {
		t.Fatalf("%d events", len(events))
	}
	for i, e := range events {
		ph := intent.Policy.Phases[i]
		start, end := e.Props.Get("DTSTART"), e.Props.Get("DTEND")
		day := strings.ReplaceAll(ph.Effective.String(), "-", "")
		if start.Value != day || start.Params.Get("VALUE") != "DATE" || end.Params.Get("VALUE") != "DATE" {
			t.Errorf("phase %s: DTSTART %+v, DTEND %+v", ph.Name, start, end)
		}
		first, err1 := start.DateTime(time.UTC)
		last, err2 := end.DateTime(time.UTC)
		if err1 != nil || err2 != nil || last.Sub(first) != 24*time.Hour {
			t.Errorf("phase %s: from %v to %v", ph.Name, first, last)
		}
		got := []string{text(t, e.Component, "UID"), text(t, e.Component, "SUMMARY"), text(t, e.Component, "DESCRIPTION"), e.Props.Get("DTSTAMP").Value, e.Props.Get("SEQUENCE").Value, e.Props.Get("URL").Value, e.Props.Get("TRANSP").Value}
		want := []string{"phase/" + ph.Name + "/ja@mail-check.isp.example", c.Events[i].Title, c.Events[i].Text, "20060501T003000Z", "3", "https://mail-check.isp.example/ja/programme", "TRANSPARENT"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("phase %s, -want +got:\n%s", ph.Name, diff)
		}
	}
	if again := c.ICalendar(); !bytes.Equal(data, again) {
		t.Error("the same calendar is written in another way")
	}
	c.Events[1].Day.Day++
	if moved := readCalendar(t, c.ICalendar()).Events()[1]; text(t, moved.Component, "UID") != text(t, events[1].Component, "UID") || moved.Props.Get("DTSTART").Value == events[1].Props.Get("DTSTART").Value {
		t.Error("an event with another day has another UID")
	}
}

// TestCalendarEscapes verifies that no text can bring a line into a calendar, and that another library reads every text as it was given.
func TestCalendarEscapes(t *testing.T) {
	site := shipped(t).Site
	rapid.Check(t, func(t *rapid.T) {
		// Long texts of wide characters are folded within the 75 octets of many lines.
		any := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("あ字😀 ,;:\\\n<>a")), 30, 400, -1))
		title, description := any.Draw(t, "title"), any.Draw(t, "description")
		c := Calendar{Site: site, Language: lang.English, Title: title, Events: []Event{{Name: "e", Day: policy.Date{Year: 2006, Month: 6, Day: 1}, Title: title, Text: description}}}
		events := readCalendar(t, c.ICalendar()).Events()
		if len(events) != 1 || text(t, events[0].Component, "SUMMARY") != line(title) {
			t.Fatalf("%q became %+v", title, events)
		}
		if description != "" && text(t, events[0].Component, "DESCRIPTION") != paragraphs(description) {
			t.Fatalf("%q became %q", description, text(t, events[0].Component, "DESCRIPTION"))
		}
	})
}

// TestNoEvents verifies that a calendar without events is still a calendar.
func TestNoEvents(t *testing.T) {
	c := Calendar{Site: shipped(t).Site, Language: lang.English, Title: "t"}
	if events := readCalendar(t, c.ICalendar()).Events(); len(events) != 0 {
		t.Errorf("%v", events)
	}
}
