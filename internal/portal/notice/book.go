package notice

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/folder"
	"op25b/internal/portal/markdown"
	"op25b/internal/strict"
)

// MaxFiles is the maximum number of files in a folder of notices: one a week for ten years, in two languages. MaxBytes is the maximum of
// their sizes together.
const (
	MaxFiles = 1040
	MaxBytes = 16 << 20
)

// A Book has all notices. It is safe for concurrent use. The zero Book has none.
type Book struct {
	byID map[string]translations
	ids  []string // the newest first
}

// translations has one notice by language.
type translations map[lang.Language]*Notice

// Pages returns the names by which texts link to the notices in files with these names: [text](page:notices/ID).
func Pages(files []string) []string {
	var all []string
	for _, name := range files {
		if m := fileName.FindStringSubmatch(name); m != nil && (len(all) == 0 || all[len(all)-1] != PageOf(m[1])) {
			all = append(all, PageOf(m[1])) // the files of an ID follow each other
		}
	}
	return all
}

// PageOf returns the name by which texts link to the notice with an ID.
func PageOf(id string) string { return "notices/" + id }

// Load reads the notices of a folder. words lists the values and pages that their texts may use, to which Load adds the notices themselves.
//
// The error is a strict.Faults with every fault of every notice (see Parse), or one of package folder.
func Load(fsys fs.FS, words markdown.Vocabulary) (*Book, error) {
	names, err := folder.List(fsys, MaxFiles)
	if err != nil {
		return nil, fmt.Errorf("notices: %w", err)
	}
	words.Pages = slices.Concat(words.Pages, Pages(names))
	b := &Book{byID: make(map[string]translations)}
	var faults strict.Faults
	size := 0
	for _, name := range names {
		f, err := folder.Read(fsys, name, MaxFile)
		if err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
		if size += len(f.Data); size > MaxBytes {
			return nil, fmt.Errorf("notices: %w: the files have more than %d bytes together: move old ones elsewhere", folder.ErrBound, MaxBytes)
		}
		n, err := Parse(f, words)
		if err == nil {
			err = b.add(n, name)
		}
		if err != nil {
			faults = append(faults, err.(strict.Faults)...)
		}
	}
	if err := faults.OrNil(); err != nil {
		return nil, err
	}
	for id := range b.byID {
		b.ids = append(b.ids, id)
	}
	slices.SortFunc(b.ids, func(x, y string) int {
		return cmp.Or(cmp.Compare(b.byID[y].any().Date.String(), b.byID[x].any().Date.String()), cmp.Compare(x, y))
	})
	return b, nil
}

// add adds a notice. Its translations must agree with it.
func (b *Book) add(n *Notice, file string) error {
	all := b.byID[n.ID]
	if all == nil {
		all = translations{}
		b.byID[n.ID] = all
	}
	if other := all.any(); other != nil {
		for _, key := range []struct{ name, here, there string }{
			{"date", n.Date.String(), other.Date.String()},
			{"end", n.End.String(), other.End.String()},
			{"groups", fmt.Sprint(n.Groups), fmt.Sprint(other.Groups)},
		} {
			if key.here != key.there {
				return strict.Faults{{
					Pos: strict.Pos{File: file}, Kind: ErrNotice,
					What: fmt.Sprintf("the key %s is not as in %s.%s.md", key.name, n.ID, other.Language),
					Way:  "a notice has the same date, end and groups in every language",
				}}
			}
		}
	}
	all[n.Language] = n
	return nil
}

// any returns the notice in the first language that it has, or nil.
func (t translations) any() *Notice {
	for _, l := range lang.All() {
		if n := t[l]; n != nil {
			return n
		}
	}
	return nil
}

// in returns the notice in a language, or else in another one that it has.
func (t translations) in(l lang.Language) *Notice {
	if n := t[l]; n != nil {
		return n
	}
	return t.any()
}

// published reports whether the day of publication has come.
func (n *Notice) published(today policy.Date) bool { return !today.Before(n.Date) }

// IsBack reports whether the notice is a back number on a day.
func (n *Notice) IsBack(today policy.Date) bool { return !n.End.IsZero() && n.End.Before(today) }

// Current returns the notices that are current on a day, the newest first. A notice that is not in the language l is returned in the other
// one: the page then marks its language. Notices of days to come are left out.
func (b *Book) Current(l lang.Language, today policy.Date) []*Notice {
	return b.list(l, func(n *Notice) bool { return n.published(today) && !n.IsBack(today) })
}

// Back returns the back numbers on a day, the newest first, as Current does.
func (b *Book) Back(l lang.Language, today policy.Date) []*Notice {
	return b.list(l, func(n *Notice) bool { return n.published(today) && n.IsBack(today) })
}

func (b *Book) list(l lang.Language, want func(*Notice) bool) []*Notice {
	var list []*Notice
	for _, id := range b.ids {
		if n := b.byID[id].in(l); want(n) {
			list = append(list, n)
		}
	}
	return list
}

// Find returns a notice that is published on a day, in the language l or else in the other one.
func (b *Book) Find(id string, l lang.Language, today policy.Date) (*Notice, bool) {
	n := b.byID[id].in(l)
	if n == nil || !n.published(today) {
		return nil, false
	}
	return n, true
}

// IDs returns the IDs of all notices, also of those that are not published yet, the newest first.
func (b *Book) IDs() []string { return b.ids }

// Groups returns the names of all line groups that notices concern, in ascending order.
func (b *Book) Groups() []string {
	var all []string
	for _, t := range b.byID {
		all = append(all, t.any().Groups...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
