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

// A Memory contains a fingerprint of each rule set of a converged switch, a few bytes per epoch. With a Memory, a controller can put
// another rule set in force without reading the switch again. A Memory is valid until another controller writes to the switch.
type Memory struct {
	running pipeline.Epoch
	value   pipeline.Value // the value of the entry that sets the running epoch
	sets    map[pipeline.Epoch]Fingerprint
}

// A Fingerprint identifies a rule set by its content. It does not depend on the epoch.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns the fingerprint of a rule set. It returns pipeline.ErrInvalid if the rule set is invalid.
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

// Recall returns the Memory of a switch. It reads only the tables that have rules.
func Recall(ctx context.Context, sw Reader) (*Memory, error) {
	have, err := readTables(ctx, sw, pipeline.RuleTables(), 0)
	if err != nil {
		return nil, err
	}
	return remember(split(have)), nil
}

// Running returns the epoch in force.
func (m *Memory) Running() pipeline.Epoch { return m.running }

// InForce reports whether a rule set is in force with the given drain.
func (m *Memory) InForce(rules Fingerprint, synOnly bool) bool {
	set, there := m.sets[m.running]
	return there && set == rules && m.value == pipeline.EpochEntry(m.running, synOnly).Value
}

// PutInForce sends one MODIFY that puts a rule set in force. If the switch does not have the rule set yet, PutInForce writes nothing
// and returns false, and the caller must use Apply instead. The caller must know that all other entries are as desired. After an error
// the Memory is invalid.
func (m *Memory) PutInForce(ctx context.Context, sw Switch, rules Fingerprint, synOnly bool) (bool, error) {
	epochs := append([]pipeline.Epoch{m.running}, slices.Sorted(maps.Keys(m.sets))...) // try the running epoch first
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
