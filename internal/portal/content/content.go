// Package content reads the content folder of the customers' portal, which has everything that an ISP publishes as text:
//
//	site.yaml    what the ISP says about itself (package site); required
//	notices/     the notices (package notice)
//	pages/       texts that replace the portal's own (package article)
//	guide.yaml   a settings guide that replaces the portal's own (package guide)
//
// The package reads files, and nothing else.
package content

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"op25b/internal/portal/article"
	"op25b/internal/portal/folder"
	"op25b/internal/portal/guide"
	"op25b/internal/portal/notice"
	"op25b/internal/portal/site"
	"op25b/internal/strict"
)

// The entries of a content folder.
const (
	siteFile    = "site.yaml"
	guideFile   = "guide.yaml"
	noticesName = "notices"
	pagesName   = "pages"
)

// maxEntries is the maximum number of entries in a content folder, of which only four are valid.
const maxEntries = 64

// Content is what a content folder has, with the defaults of what it leaves out. It is safe for concurrent use.
type Content struct {
	Site     *site.Site
	Notices  *notice.Book
	Articles *article.Set
	Guide    *guide.Guide
}

// Load reads a content folder.
//
// The error is a strict.Faults with every fault of every file, of the kinds of the packages that read them and of ErrContent, or an error of
// package folder or of fsys.
func Load(fsys fs.FS) (*Content, error) {
	names, err := folder.List(fsys, maxEntries)
	if err != nil {
		return nil, err
	}
	l := loader{fsys: fsys, names: names}
	valid := []string{siteFile, noticesName, pagesName, guideFile}
	for _, name := range names {
		if !slices.Contains(valid, name) {
			l.faults = append(l.faults, strict.Fault{Pos: strict.Pos{File: name}, Kind: ErrContent, What: "the portal reads no such entry of its content folder", Way: strict.Nearest(name, valid, "entries")})
		}
	}
	if !l.has(siteFile) {
		l.faults = append(l.faults, strict.Fault{
			Pos: strict.Pos{File: siteFile}, Kind: ErrContent, What: "the content folder has no site file",
			Way: "write one, beginning with apiVersion: " + strict.APIVersion + " and kind: " + site.Kind,
		})
	}
	c := &Content{Notices: &notice.Book{}, Guide: guide.Default()}
	if l.has(siteFile) {
		c.Site = file(&l, siteFile, site.MaxFile, site.Load)
	}
	if l.has(guideFile) {
		c.Guide = file(&l, guideFile, guide.MaxFile, guide.Load)
	}
	if l.has(noticesName) {
		c.Notices = sub(&l, noticesName, func(f fs.FS) (*notice.Book, error) { return notice.Load(f, article.Words()) })
	}
	words := article.Words()
	words.Pages = append(words.Pages, l.notices()...)
	c.Articles = sub(&l, pagesName, func(f fs.FS) (*article.Set, error) { return article.Load(f, words) })
	if l.err != nil {
		return nil, l.err
	}
	if err := l.faults.OrNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// A loader collects the faults of all files.
type loader struct {
	fsys   fs.FS
	names  []string
	faults strict.Faults
	err    error // the first error that is no fault
}

func (l *loader) has(name string) bool { return slices.Contains(l.names, name) }

// notices returns the names by which texts link to notices. It is empty if the folder cannot be read, which notice.Load reports.
func (l *loader) notices() []string {
	if !l.has(noticesName) {
		return nil
	}
	in, err := fs.Sub(l.fsys, noticesName)
	if err != nil {
		return nil
	}
	names, err := folder.List(in, notice.MaxFiles)
	if err != nil {
		return nil
	}
	return notice.Pages(names)
}

// note keeps an error. in is the folder that the names of files in faults are relative to, with a slash at its end.
func (l *loader) note(err error, in string) {
	var faults strict.Faults
	if !errors.As(err, &faults) {
		if l.err == nil {
			l.err = err
		}
		return
	}
	for _, f := range faults {
		f.File = in + f.File
		l.faults = append(l.faults, f)
	}
}

// file reads a file and parses it.
func file[T any](l *loader, name string, limit int, parse func(strict.File) (*T, error)) *T {
	f, err := folder.Read(l.fsys, name, limit)
	if err != nil {
		l.note(err, "")
		return nil
	}
	v, err := parse(f)
	if err != nil {
		l.note(err, "")
	}
	return v
}

// sub reads a folder, or calls load with nil if there is none.
func sub[T any](l *loader, name string, load func(fs.FS) (*T, error)) *T {
	var in fs.FS
	if l.has(name) {
		var err error
		if in, err = fs.Sub(l.fsys, name); err != nil {
			l.note(fmt.Errorf("%s: %w", name, err), "")
			return nil
		}
	}
	v, err := load(in)
	if err != nil {
		l.note(err, name+"/")
	}
	return v
}
