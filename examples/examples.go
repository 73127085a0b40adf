// Package examples holds the worked examples of a policy and its inventory, so that the demo can play one wherever it runs.
package examples

import (
	"embed"

	"op25b/internal/strict"
)

//go:embed spinnet-2006/*.yaml libmo-mobile/*.yaml providers.yaml
var files embed.FS

// SpinNet2006 is the programme of 2006 in two steps: mail to mobile carriers first, then to every server but the own relays.
func SpinNet2006() []strict.File { return example("spinnet-2006") }

// LibmoMobile is a mobile operator's block on three switches: every server but the own relay, rejected by ICMP.
func LibmoMobile() []strict.File { return example("libmo-mobile") }

func example(folder string) []strict.File {
	var all []strict.File
	for _, name := range []string{folder + "/inventory.yaml", folder + "/policy.yaml"} {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(err) // the file is embedded, so reading it cannot fail
		}
		all = append(all, strict.File{Name: "examples/" + name, Data: data})
	}
	return all
}

// Providers is the directory of mail providers that customers' mailboxes are looked up in, unless an operator has one of its own.
func Providers() strict.File {
	data, err := files.ReadFile("providers.yaml")
	if err != nil {
		panic(err) // the file is embedded, so reading it cannot fail
	}
	return strict.File{Name: "examples/providers.yaml", Data: data}
}
