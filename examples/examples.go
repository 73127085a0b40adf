// Package examples contains example policies with their inventories. They are embedded, so the demo can run an example on any host.
package examples

import (
	"embed"
	"io/fs"

	"op25b/internal/strict"
)

//go:embed spinnet-2006/*.yaml spinnet-2022/*.yaml libmo-mobile/*.yaml providers.yaml portal
var files embed.FS

// SpinNet2006 returns the documents of a rollout in 2006 that blocks port 25 in two steps: mail to mobile carriers first, then mail to
// every server except the ISP's own relays.
func SpinNet2006() []strict.File { return example("spinnet-2006") }

// SpinNet2022 returns the documents of the whole programme of 2006 to 2022. Port 25 is closed as in SpinNet2006. Plain POP, IMAP and SMTP to the
// ISP's own servers is then counted, ends for the first line groups, and ends for all on 2022-08-01.
func SpinNet2022() []strict.File { return example("spinnet-2022") }

// LibmoMobile returns the documents of a mobile operator that blocks port 25 on three switches. Mail to any server except the operator's
// own relay is rejected with an ICMP error.
func LibmoMobile() []strict.File { return example("libmo-mobile") }

func example(folder string) []strict.File {
	var all []strict.File
	for _, name := range []string{folder + "/inventory.yaml", folder + "/policy.yaml", folder + "/exemptions.yaml"} {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(err) // the file is embedded, so reading it cannot fail
		}
		all = append(all, strict.File{Name: "examples/" + name, Data: data})
	}
	return all
}

// Providers returns the default directory of mail providers. Customers' mailboxes are looked up in it unless the operator supplies
// another directory.
func Providers() strict.File {
	data, err := files.ReadFile("providers.yaml")
	if err != nil {
		panic(err) // the file is embedded, so reading it cannot fail
	}
	return strict.File{Name: "examples/providers.yaml", Data: data}
}

// Portal returns the folder of an ISP's content for the customers' portal: site.yaml and notices.
func Portal() fs.FS {
	dir, err := fs.Sub(files, "portal")
	if err != nil {
		panic(err) // the name of the folder is valid
	}
	return dir
}
