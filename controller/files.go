package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"op25b/internal/readfile"
	"op25b/internal/strict"
)

// readFlag reads the file that a flag names, of at most the given number of bytes. The errors name the flag.
func readFlag(flag, path string, most int) ([]byte, error) {
	data, err := readfile.Bounded(path, most)
	switch {
	case errors.Is(err, readfile.ErrLarge):
		return nil, fmt.Errorf("%s: %w", flag, err)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, path, withoutPath(err))
	}
	return data, nil
}

// A document is a file of the policy or the inventory. A controller identifies a document by the last element of its path.
type document struct {
	strict.File
	path string // the path of the file on this host
}

// readDocuments reads the given files. For a directory, readDocuments reads all *.yaml and *.yml files in it, ordered by name.
func readDocuments(paths []string) ([]document, error) {
	var all []document
	from := map[string]string{}
	for _, path := range paths {
		files, err := yamlFiles(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			name := filepath.Base(file)
			if other, ok := from[name]; ok {
				return nil, fmt.Errorf("-f %s: has the same name as %s, and a controller identifies files by name; rename one of them", file, other)
			}
			from[name] = file
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("-f %s: %w", file, withoutPath(err))
			}
			all = append(all, document{strict.File{Name: name, Data: data}, file})
		}
	}
	return all, nil
}

func yamlFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("-f %s: %w", path, withoutPath(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	names, _ := filepath.Glob(filepath.Join(path, "*.y*ml")) // Glob returns an error only if the pattern is malformed
	names = slices.DeleteFunc(names, func(n string) bool { return filepath.Ext(n) != ".yaml" && filepath.Ext(n) != ".yml" })
	if len(names) == 0 {
		return nil, fmt.Errorf("-f %s: the directory has no *.yaml or *.yml file", path)
	}
	return names, nil
}

// withoutPath returns the cause of an error of package os, without the path and the system call. Callers use it in messages
// that already contain the path.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// local returns the documents as files named by their local paths, so that errors refer to these paths.
func local(docs []document) []strict.File {
	files := make([]strict.File, len(docs))
	for i, d := range docs {
		files[i] = strict.File{Name: d.path, Data: d.Data}
	}
	return files
}
