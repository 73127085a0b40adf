package reconcile

import (
	"fmt"

	"op25b/internal/pipeline"
)

// An alias is a number that stands in for two: the rules before the flip treat it as one, the rules after it as the other.
type alias struct {
	d        pipeline.Dimension
	from, to uint8
}

// aliases gives out the numbers of aliases.
type aliases struct {
	used  [pipeline.Dimensions][256]bool
	given map[alias]uint8
}

// newAliases takes all numbers for used that entries have or rules name.
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

// number returns the number of an alias, and the same one for the same alias.
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
	return 0, fmt.Errorf("%w: all %d numbers of a %v are in use, and this change needs one more for the time that it takes; make it in two steps",
		ErrNoRoom, x.d.LastNumber(), x.d)
}

// rules returns what has to stand beside rules of an epoch so that they treat every alias as the number that like returns of it.
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
