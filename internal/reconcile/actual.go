package reconcile

import (
	"fmt"
	"slices"

	"op25b/internal/pipeline"
)

// A standing is what a switch has, sorted for Make.
type standing struct {
	have         []pipeline.Entry
	byKey        map[string]int   // in have
	fixed        []pipeline.Entry // all but rules and the running epoch
	running      pipeline.Epoch
	runningEntry pipeline.Entry                       // that holds it
	rules        map[pipeline.Epoch][]pipeline.Entry  // of each epoch
	sets         map[pipeline.Epoch]map[string]string // the same, RuleKey to value
}

func split(have []pipeline.Entry) *standing {
	s := &standing{
		have: have, byKey: make(map[string]int, len(have)), fixed: make([]pipeline.Entry, 0, len(have)), runningEntry: pipeline.EpochEntry(0, false),
		rules: map[pipeline.Epoch][]pipeline.Entry{}, sets: map[pipeline.Epoch]map[string]string{},
	}
	for i, e := range have {
		s.byKey[e.Key] = i
		if in, ok := e.IsRunningEpoch(); ok {
			s.running, s.runningEntry = in, e
			continue
		}
		in, ok := e.Epoch()
		if !ok {
			s.fixed = append(s.fixed, e)
			continue
		}
		if s.sets[in] == nil {
			s.sets[in] = map[string]string{}
		}
		s.rules[in] = append(s.rules[in], e)
		s.sets[in][e.RuleKey()] = e.Value
	}
	return s
}

// find returns the entry with a key.
func (s *standing) find(key string) (e pipeline.Entry, ok bool) {
	if i, ok := s.byKey[key]; ok {
		return s.have[i], true
	}
	return e, false
}

// epochOf returns the epoch that holds just these rules: the running one rather than another.
func (s *standing) epochOf(rules []pipeline.Entry) (epoch pipeline.Epoch, ok bool) {
	if s.holds(s.running, rules) {
		return s.running, true
	}
	for e := range pipeline.Epoch(255) {
		if s.holds(e+1, rules) {
			return e + 1, true
		}
	}
	return 0, false
}

// holds says whether the rules of epoch e are just these.
func (s *standing) holds(e pipeline.Epoch, rules []pipeline.Entry) bool {
	set := s.sets[e]
	if e == 0 || len(set) != len(rules) {
		return false
	}
	return !slices.ContainsFunc(rules, func(r pipeline.Entry) bool {
		v, ok := set[r.RuleKey()]
		return !ok || v != r.Value
	})
}

// free returns an epoch that holds nothing, looking upward from the running one, and none of those in taken.
func (s *standing) free(taken map[pipeline.Epoch]bool) (pipeline.Epoch, error) {
	for e := s.running + 1; e != s.running; e++ { // wraps past 255
		if e != 0 && len(s.rules[e]) == 0 && !taken[e] {
			return e, nil
		}
	}
	return 0, fmt.Errorf("%w: every epoch from 1 to 255 holds a rule set", ErrNoRoom)
}
