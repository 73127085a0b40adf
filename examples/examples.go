// Package examples holds the worked examples of a policy and its inventory, so that the demo can play one wherever it runs.
package examples

import (
	"embed"

	"op25b/internal/policy"
)

//go:embed spinnet-2006/*.yaml
var files embed.FS

// SpinNet2006 is the programme of 2006 in two steps: mail to mobile carriers first, then to every server but the own relays.
func SpinNet2006() []policy.File {
	var all []policy.File
	for _, name := range []string{"spinnet-2006/inventory.yaml", "spinnet-2006/policy.yaml"} {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded: it is there or the package does not compile
		}
		all = append(all, policy.File{Name: "examples/" + name, Data: data})
	}
	return all
}
