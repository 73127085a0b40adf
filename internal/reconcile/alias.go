package reconcile

import (
	"fmt"

	"op25b/internal/pipeline"
)

// An alias is a temporary number for packets that change from one number to another. The rules before the flip treat the alias like
// the number from, and the rules after the flip treat it like the number to.
type alias struct {
	d        pipeline.Dimension
	from, to uint8
}

// aliases assigns unused numbers to aliases.
type aliases struct {
	used  [pipeline.Dimensions][256]bool
	given map[alias]uint8
}

// newAliases returns aliases whose numbers the entries neither assign, check nor match.
func newAliases(lists ...[]pipeline.Entry) *aliases {
	a := &aliases{given: map[alias]uint8{}}
	for _, list := range lists {
		for _, e := range list {
			if d, n, ok := e.Number(); ok {
				a.used[d][n] = true
			}
			for d := range pipeline.Dimensions {
				if n, ok := e.Names(d); ok {
					a.used[d][n] = true
				}
			}
			if is, _ := e.IsSourceCheck(); is {
				a.used[pipeline.ByGroup][e.CheckedGroup()] = true
			}
		}
	}
	return a
}

// number returns the number of an alias. Repeated calls for an alias return the same number.
func (a *aliases) number(x alias) (uint8, error) {
	if n, ok := a.given[x]; ok {
		return n, nil
	}
	for n := x.d.LastNumber(); n > 0; n-- {
		if !a.used[x.d][n] {
			a.used[x.d][n] = true
			a.given[x] = n
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: all %d numbers of a %v are in use, and the change needs one more while it is carried out; make it in two steps",
		ErrNoRoom, x.d.LastNumber(), x.d)
}

// rules returns the rules that an epoch needs in addition to its own rules. With them, the epoch treats every alias as the number that
// like returns for the alias.
func (a *aliases) rules(epoch pipeline.Epoch, rules []pipeline.Entry, like func(alias) uint8) []pipeline.Entry {
	standsFor := [pipeline.Dimensions]map[uint8][]uint8{}
	for x, n := range a.given {
		if standsFor[x.d] == nil {
			standsFor[x.d] = map[uint8][]uint8{}
		}
		standsFor[x.d][like(x)] = append(standsFor[x.d][like(x)], n)
	}
	var all []pipeline.Entry
	for _, r := range rules {
		variants := []pipeline.Entry{r.InEpoch(epoch)}
		for d := range pipeline.Dimensions {
			n, named := r.Names(d)
			if !named {
				continue
			}
			for _, v := range variants[:len(variants):len(variants)] {
				for _, other := range standsFor[d][n] {
					variants = append(variants, v.Naming(d, other))
				}
			}
		}
		all = append(all, variants[1:]...)
	}
	return all
}
