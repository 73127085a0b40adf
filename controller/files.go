package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"op25b/internal/policy"
)

// A document is a file of intent: the name that a controller knows it by, which is the last part of its path, and its path here.
type document struct {
	policy.File
	path string
}

// readDocuments reads files, and of directories every *.yaml and *.yml in the order of their names.
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
				return nil, fmt.Errorf("-f %s: a file with the name of %s; a controller knows files by their names: rename one", file, other)
			}
			from[name] = file
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("-f %w", err)
			}
			all = append(all, document{policy.File{Name: name, Data: data}, file})
		}
	}
	return all, nil
}

func yamlFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("-f %s: %w", path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	names, _ := filepath.Glob(filepath.Join(path, "*.y*ml")) // the pattern is well formed
	names = slices.DeleteFunc(names, func(n string) bool { return filepath.Ext(n) != ".yaml" && filepath.Ext(n) != ".yml" })
	if len(names) == 0 {
		return nil, fmt.Errorf("-f %s: the directory has no *.yaml file", path)
	}
	return names, nil
}

// local are documents under their paths, for what is said of them here.
func local(docs []document) []policy.File {
	files := make([]policy.File, len(docs))
	for i, d := range docs {
		files[i] = policy.File{Name: d.path, Data: d.Data}
	}
	return files
}
