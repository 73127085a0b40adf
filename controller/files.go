package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"op25b/internal/strict"
)

// A document is a file of intent. A controller identifies it by its name, which is the last part of its path.
type document struct {
	strict.File
	path string // on this host
}

// readDocuments reads files. Of a directory it reads every *.yaml and *.yml, in the order of their names.
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
	names, _ := filepath.Glob(filepath.Join(path, "*.y*ml")) // the pattern is well formed
	names = slices.DeleteFunc(names, func(n string) bool { return filepath.Ext(n) != ".yaml" && filepath.Ext(n) != ".yml" })
	if len(names) == 0 {
		return nil, fmt.Errorf("-f %s: the directory has no *.yaml or *.yml file", path)
	}
	return names, nil
}

// withoutPath returns an error of package os without the path and the system call, for a message that names the path itself.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// local returns documents under their paths, so that messages name the paths.
func local(docs []document) []strict.File {
	files := make([]strict.File, len(docs))
	for i, d := range docs {
		files[i] = strict.File{Name: d.path, Data: d.Data}
	}
	return files
}
