package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Balance is the maximum by which a controller's number of switches may exceed its share, as a fraction of the share. With 0.25, only
// a few switches move when a controller joins or leaves, apart from those that the controller itself takes over or gives up.
const Balance = 0.25

// Capacity returns the maximum number of switches that one controller is assigned: its share, plus Balance times the share, rounded
// up.
func Capacity(members, switches int) int {
	if members == 0 {
		return 0
	}
	share := (1 + Balance) * float64(switches) / float64(members)
	n := int(share)
	if float64(n) < share {
		n++
	}
	return n
}

// Assign assigns each switch to a member by rendezvous hashing with bounded load. Each switch ranks the members, independently of the
// other switches. A switch is assigned to the first member in its ranking that has room. A full member keeps the switches with the
// highest scores. The assignment does not depend on the order of the arguments.
//
// When the members change, a switch moves between two remaining members only if one of them is full. If there are no members, the
// result is empty. The names must be distinct.
func Assign(members []string, switches []string) map[string]string {
	if len(members) == 0 {
		return map[string]string{}
	}
	members = slices.Sorted(slices.Values(members))
	capacity := Capacity(len(members), len(switches))
	have := make([]holding, len(members))
	likes := make([]choice, len(switches))
	for _, i := range byName(switches) {
		for at := i; at >= 0; {
			c := &likes[at]
			if c.order == nil {
				c.order = preferences(members, switches[at])
			}
			next := c.order[c.asked]
			c.asked++
			at = have[next.member].offer(claim{next.score, at}, switches, capacity)
		}
	}
	assigned := make(map[string]string, len(switches))
	for m, h := range have {
		for _, c := range h {
			assigned[switches[c.of]] = members[m]
		}
	}
	return assigned
}

// byName returns the indexes of names in sorted order. The order affects only the amount of work, not the result.
func byName(names []string) []int {
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(names[a], names[b]) })
	return order
}

// A choice is a switch's ranking of the members, with the number of members that the switch has asked.
type choice struct {
	order []preference
	asked int
}

type preference struct {
	score  uint64
	member int
}

// A claim is a switch that is assigned to a member, with its score for that member.
type claim struct {
	score uint64
	of    int
}

// A holding lists the switches that are assigned to one member.
type holding []claim

// offer adds a claim to the holding. If the member is full, offer returns the index of the switch that must ask the next member;
// otherwise it returns -1.
func (h *holding) offer(c claim, names []string, capacity int) (rejected int) {
	if len(*h) < capacity {
		*h = append(*h, c)
		return -1
	}
	least := 0
	for i := range *h {
		if (*h)[i].less((*h)[least], names) {
			least = i
		}
	}
	if c.less((*h)[least], names) {
		return c.of
	}
	rejected = (*h)[least].of
	(*h)[least] = c
	return rejected
}

func (c claim) less(other claim, names []string) bool {
	return cmp.Or(cmp.Compare(c.score, other.score), cmp.Compare(names[c.of], names[other.of])) < 0
}

// preferences returns the members in the order in which the switch ranks them.
func preferences(members []string, name string) []preference {
	order := make([]preference, len(members))
	for i, m := range members {
		order[i] = preference{score(m, name), i}
	}
	slices.SortFunc(order, func(a, b preference) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.member, b.member))
	})
	return order
}

// score returns the score of a member for a switch. All controllers, of every version, must compute the same score.
func score(member, name string) uint64 {
	b := binary.BigEndian.AppendUint64(nil, uint64(len(member))) // the length makes the input different for any two pairs of names
	b = append(append(b, member...), name...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}
