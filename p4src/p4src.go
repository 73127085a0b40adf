// Package p4src embeds the P4 source of the pipeline and the files that p4c compiled from it, so that a controller needs no compiler.
//
// Package internal/pipeline provides a typed view of the pipeline.
package p4src

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	"google.golang.org/protobuf/encoding/prototext"
)

//go:generate go run ./compile op25b.p4 build
//go:generate go run ./compile examples/router/router.p4 examples/router/build

//go:embed *.p4
var sources embed.FS

//go:embed build
var build embed.FS

// The files in the folder build. "go generate" writes them.
const (
	jsonFile   = "build/op25b.json"
	infoFile   = "build/op25b.p4info.txtpb"
	digestFile = "build/sources.sha256"
)

// DeviceConfig returns the compiled program in the form in which it is pushed to v1model targets: the JSON that p4c-bm2-ss wrote.
func DeviceConfig() []byte { return read(jsonFile) }

// P4Info returns the program's P4Info.
func P4Info() *configv1.P4Info {
	info := &configv1.P4Info{}
	if err := prototext.Unmarshal(read(infoFile), info); err != nil {
		panic("p4src: " + infoFile + ": " + err.Error()) // unreachable, because a test of this package parses the file
	}
	return info
}

var include = regexp.MustCompile(`(?m)^\s*#include\s+"([^"]+)"`)

// Digest returns the SHA-256, in hexadecimal, of all P4 sources in a folder and of all sources outside the folder that they include. The
// digest covers the content of each file and its path relative to the folder.
func Digest(fsys fs.FS, folder string) (string, error) {
	names, err := fs.Glob(fsys, path.Join(folder, "*.p4"))
	if err != nil {
		return "", err
	}
	found := map[string][]byte{} // contents by path relative to the folder
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		from, err := filepath.Rel(filepath.FromSlash(folder), filepath.FromSlash(name))
		if err != nil {
			return "", err
		}
		from = filepath.ToSlash(from)
		if _, again := found[from]; again {
			continue
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", err
		}
		found[from] = data
		for _, m := range include.FindAllSubmatch(data, -1) {
			names = append(names, path.Join(path.Dir(name), string(m[1])))
		}
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(sum, "%s %d\n", name, len(found[name]))
		sum.Write(found[name])
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// BuiltFrom returns the digest of the sources from which the files in build were compiled.
func BuiltFrom() string { return string(read(digestFile)[:2*sha256.Size]) }

func read(name string) []byte {
	data, err := build.ReadFile(name)
	if err != nil {
		panic(err) // the file is embedded, so reading it cannot fail
	}
	return data
}
