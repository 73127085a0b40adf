package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"path"
)

//go:embed assets
var base embed.FS

// Assets are the embedded files of a site: its own files and base.css, which all sites share.
type Assets struct {
	files map[string][]byte
	// Version identifies the content of all files. The URL of a file contains it as the query.
	Version string
}

var _ http.Handler = (*Assets)(nil)

// NewAssets returns the files in the directory assets of own, and the shared ones. It panics if a file cannot be read, because the files are
// part of the program.
func NewAssets(own fs.FS) *Assets {
	a := &Assets{files: make(map[string][]byte)}
	sum := sha256.New()
	for _, from := range []fs.FS{base, own} {
		err := fs.WalkDir(from, "assets", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(from, name)
			a.files[path.Base(name)] = data
			sum.Write(data)
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	a.Version = hex.EncodeToString(sum.Sum(nil))[:12]
	return a
}

// All returns the names and the contents of the files. The contents must not be modified.
func (a *Assets) All() iter.Seq2[string, []byte] { return maps.All(a.files) }

// ServeHTTP serves the file that the path value "file" names. The URL contains the version of all files, so a browser may cache the file.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, known := a.files[r.PathValue("file")]
	if !known {
		http.NotFound(w, r)
		return
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	w.Header().Set("Content-Type", types[path.Ext(r.PathValue("file"))])
	w.Header().Set("Cache-Control", "max-age=31536000, immutable")
	_, _ = w.Write(data)
}
