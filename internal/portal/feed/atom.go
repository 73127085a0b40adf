// Package feed writes the notices and the dates of the programme for programs: an Atom feed (RFC 4287) and a calendar (RFC 5545).
//
// The package is pure. It decides neither what is in a feed nor in which words.
package feed

import (
	"bytes"
	"encoding/xml"
	"html/template"
	"slices"
	"time"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/site"
)

// AtomType is the media type of a feed (RFC 4287 section 7).
const AtomType = "application/atom+xml; charset=utf-8"

// MaxEntries is the maximum number of entries that Atom writes. The oldest are left out.
const MaxEntries = 100

// A Feed is an Atom feed in one language.
type Feed struct {
	Site     *site.Site
	Language lang.Language
	Title    string
	// Path and Page are the paths of the feed and of the page that shows the same, below the site's address and without a slash at the
	// beginning. The feed's address is its identifier, so Path never changes.
	Path, Page string
	// Updated is the time of the last change. It is used if no entry is newer.
	Updated time.Time
	Entries []Entry
}

// An Entry is an entry of a feed.
type Entry struct {
	// Name identifies the entry within the site: a notice's ID, for example. It never changes.
	Name string
	// Day is the day of publication. It is part of the identifier, so it never changes.
	Day policy.Date
	// Path is the path of the entry's page below the site's address, without a slash at the beginning.
	Path      string
	Title     string
	Published time.Time
	// Updated is the time of the last change that a reader should see (section 4.2.15).
	Updated time.Time
	// Language is the language of the entry, if it is not that of the feed.
	Language lang.Language
	// HTML is the content. Its relative links are resolved against the site's address.
	HTML template.HTML
}

// xmlFeed and the types below are the elements of section 4.
type xmlFeed struct {
	XMLName xml.Name   `xml:"http://www.w3.org/2005/Atom feed"`
	Base    string     `xml:"http://www.w3.org/XML/1998/namespace base,attr"`
	Lang    string     `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
	ID      string     `xml:"id"`
	Title   string     `xml:"title"`
	Updated string     `xml:"updated"`
	Author  xmlAuthor  `xml:"author"`
	Links   []xmlLink  `xml:"link"`
	Entries []xmlEntry `xml:"entry"`
}

type xmlAuthor struct {
	Name string `xml:"name"`
	URI  string `xml:"uri,omitempty"`
}

type xmlLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

type xmlEntry struct {
	Lang      string     `xml:"http://www.w3.org/XML/1998/namespace lang,attr,omitempty"`
	ID        string     `xml:"id"`
	Title     string     `xml:"title"`
	Published string     `xml:"published"`
	Updated   string     `xml:"updated"`
	Link      xmlLink    `xml:"link"`
	Content   xmlContent `xml:"content"`
}

type xmlContent struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// Atom returns the feed as an XML document, with the newest entries first.
func (f *Feed) Atom() ([]byte, error) {
	entries := slices.Clone(f.Entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return b.Updated.Compare(a.Updated) })
	entries = entries[:min(len(entries), MaxEntries)]
	updated := f.Updated
	out := xmlFeed{
		Base: f.Site.URL, Lang: string(f.Language), ID: f.Site.URL + f.Path, Title: f.Title, Author: xmlAuthor{f.Site.Name.In(f.Language), f.Site.Home},
		Links: []xmlLink{{"self", "application/atom+xml", f.Site.URL + f.Path}, {"alternate", "text/html", f.Site.URL + f.Page}},
	}
	for _, e := range entries {
		if e.Updated.After(updated) {
			updated = e.Updated
		}
		l := e.Language
		if l == f.Language {
			l = ""
		}
		out.Entries = append(out.Entries, xmlEntry{
			Lang: string(l), ID: f.id(&e), Title: e.Title, Published: e.Published.UTC().Format(time.RFC3339), Updated: e.Updated.UTC().Format(time.RFC3339),
			Link: xmlLink{"alternate", "text/html", f.Site.URL + e.Path}, Content: xmlContent{"html", string(e.HTML)},
		})
	}
	out.Updated = updated.UTC().Format(time.RFC3339)
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", " ")
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// id returns the identifier of an entry, which stays the same when pages move (RFC 4151).
func (f *Feed) id(e *Entry) string {
	return "tag:" + f.Site.Host() + "," + e.Day.String() + ":" + e.Name + "/" + string(f.Language)
}
