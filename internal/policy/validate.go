package policy

import (
	"context"
	"fmt"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// The capacity of a switch.
const (
	MaxLines    = 8192 // the number of lines of a switch, for which the pipeline's tables are sized
	MaxVerdicts = 256  // the number of verdict entries of a phase; the verdict table has room for four epochs of this size

	MaxLineGroups = 255                       // the numbers have 8 bits, and 0 is reserved for unnamed lines
	MaxRemotes    = 255                       // the numbers have 8 bits, and 0 is reserved for servers in no class
	MaxServices   = int(pipeline.LastService) // higher numbers denote frames without ports
)

// Validate reports all faults of a policy, of an inventory, and of their combination. The error is a strict.Faults of kind ErrInvalid, or
// the cause of ctx if ctx ends.
func Validate(ctx context.Context, p *Policy, inv *Inventory) error {
	v := validator{Collector: strict.NewCollector(ctx), p: p, inv: inv}
	return v.Run(v.policy, v.inventory, func() { v.lineGroupsKnown(inv.Switches...) }, v.checkedLines, v.exemptLines, v.linesOutsideRelays, v.linesOutsideNAT64)
}

// ValidatePolicy performs those checks of Validate that concern only the policy.
func ValidatePolicy(p *Policy) error {
	v := validator{p: p}
	return v.Run(v.policy)
}

// ValidateSwitch performs those checks of Validate that concern one switch. Its cost does not depend on the number of switches in the
// inventory.
func ValidateSwitch(p *Policy, sw *Switch) error {
	v := validator{p: p, inv: &Inventory{Switches: []Switch{*sw}}}
	return v.Run(v.inventory, func() { v.lineGroupsKnown(*sw) }, v.checkedLines, v.linesOutsideRelays, v.linesOutsideNAT64)
}

// A validator checks a policy and an inventory.
type validator struct {
	strict.Collector
	p   *Policy
	inv *Inventory
}

// inPolicy adds a fault in the policy.
func (v *validator) inPolicy(path, what, way string) { v.note(v.p.src, path, what, way) }

// inInventory adds a fault in the inventory.
func (v *validator) inInventory(path, what, way string) { v.note(v.inv.src, path, what, way) }

func (v *validator) note(src strict.Document, path, what, way string) {
	v.Add(strict.Fault{Pos: src.At(path), Path: path, What: what, Way: way, Kind: ErrInvalid})
}

// named checks that each name in a list is a valid word and that no name is repeated.
func (v *validator) named(src strict.Document, list []string, path func(i int) string, kind string) {
	first := make(map[string]int, len(list))
	for i, name := range list {
		v.word(src, path(i), name, kind+" name")
		if earlier, again := first[name]; again {
			v.note(src, path(i), fmt.Sprintf("%s %q is listed twice", kind, name), "the first is at "+src.Place(path(earlier))+": rename one")
			continue
		}
		first[name] = i
	}
}

// maxWord is the maximum length of a name in bytes. It keeps labels and log lines readable.
const maxWord = 64

// word checks that a name needs no quotes in a command line, a log line or a counter's description.
func (v *validator) word(src strict.Document, path, name, kind string) {
	ok := name != "" && len(name) <= maxWord
	for i, c := range []byte(name) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		punctuation := c == '-' || c == '_' || c == '.' || c == ':' || c == '/'
		ok = ok && (alphanumeric || i > 0 && punctuation)
	}
	if !ok {
		v.note(src, path, fmt.Sprintf("%s %q cannot be used", kind, name),
			fmt.Sprintf("a name is 1 to %d letters, digits and - _ . : /, beginning with a letter or digit", maxWord))
	}
}

// counted checks that a list whose items get numbers is neither empty nor too long.
func (v *validator) counted(path string, n, most int, kind string) {
	switch {
	case n == 0:
		v.inPolicy(path, fmt.Sprintf("there are no %s", kind), "give at least one")
	case n > most:
		v.inPolicy(fmt.Sprintf("%s[%d]", path, most), fmt.Sprintf("there are %d %s", n, kind), fmt.Sprintf("a switch can number %d", most))
	}
}

// at returns the path of an item of a list, or of a key of the item.
func at(list string, i int, key string) string {
	if key == "" {
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d].%s", list, i, key)
}

// pathTo returns a function that calls at with the given list and key.
func pathTo(list, key string) func(i int) string {
	return func(i int) string { return at(list, i, key) }
}
