package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"op25b/internal/pipeline"
)

// A Memory is what is known of the rule sets of a switch that was left converged: enough to put another one in force without reading the
// switch again. It is a few bytes an epoch. It holds for as long as nobody else writes to the switch.
type Memory struct {
	running pipeline.Epoch
	value   pipeline.Value // of the entry that holds the running epoch
	sets    map[pipeline.Epoch]Fingerprint
}

// A Fingerprint names a rule set by its content, whatever epoch it stands under.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns the fingerprint of a rule set, or pipeline.ErrInvalid.
func FingerprintOf(verdicts map[pipeline.VerdictKey]pipeline.Verdict) (Fingerprint, error) {
	rules, err := pipeline.RuleEntries(verdicts, anyEpoch)
	if err != nil {
		return Fingerprint{}, err
	}
	return fingerprint(rules), nil
}

func fingerprint(rules []pipeline.Entry) Fingerprint {
	sorted := slices.SortedFunc(slices.Values(rules), func(a, b pipeline.Entry) int { return a.RuleKey().Compare(b.RuleKey()) })
	h := sha256.New()
	var b []byte
	for _, r := range sorted {
		b = r.InEpoch(anyEpoch).AppendBinary(b[:0])
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		h.Write(b)
	}
	return Fingerprint(h.Sum(nil))
}

func remember(now *actual) *Memory {
	m := &Memory{running: now.running, value: now.runningEntry.Value, sets: make(map[pipeline.Epoch]Fingerprint, len(now.rules))}
	for e, rules := range now.rules {
		m.sets[e] = fingerprint(rules)
	}
	return m
}

// Recall reads the rule sets of a switch, and nothing else of it.
func Recall(ctx context.Context, sw Reader) (*Memory, error) {
	have, err := readTables(ctx, sw, pipeline.RuleTables(), 0)
	if err != nil {
		return nil, err
	}
	return remember(split(have)), nil
}

// Running is the epoch in force.
func (m *Memory) Running() pipeline.Epoch { return m.running }

// InForce reports whether a rule set is in force.
func (m *Memory) InForce(rules Fingerprint, synOnly bool) bool {
	set, there := m.sets[m.running]
	return there && set == rules && m.value == pipeline.EpochEntry(m.running, synOnly).Value
}

// PutInForce puts a rule set in force that the switch has already, by one MODIFY. It returns false, and has written nothing, if the switch
// does not have it: then Apply has to write it. All but its rules must be what the switch has. After an error, the memory is worth nothing.
func (m *Memory) PutInForce(ctx context.Context, sw Switch, rules Fingerprint, synOnly bool) (bool, error) {
	epochs := append([]pipeline.Epoch{m.running}, slices.Sorted(maps.Keys(m.sets))...) // the running one, if that will do
	for _, e := range epochs {
		if set, there := m.sets[e]; !there || set != rules {
			continue
		}
		entry := pipeline.EpochEntry(e, synOnly)
		if err := sw.WriteEntries(ctx, []pipeline.Update{{Kind: pipeline.Modify, Entry: &entry}}); err != nil {
			return false, fmt.Errorf("put epoch %d in force in place of %d: %w", e, m.running, err)
		}
		m.running, m.value = e, entry.Value
		return true, nil
	}
	return false, nil
}
