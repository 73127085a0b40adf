package intent

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"op25b/internal/policy"
)

// shareBut makes in use the parsed documents of an intent in like that has the same documents but for a few exemptions. It reports whether there is
// one.
func (in *Intent) shareBut(like []*Intent, now time.Time) bool {
	for _, l := range like {
		for _, l := range l.Contents() {
			if l.encoded == nil || l.broken != nil || !bytes.Equal(in.encoded, l.encoded) || !sameFiles(in.Files, l.Files) {
				continue
			}
			changed, ok := changedExemptions(l.exempt, in.exempt)
			if !ok {
				continue
			}
			if with, ok := l.changing(changed, now); ok && len(changed) > 0 && sameExemptions(with.exempt, in.exempt) {
				in.Files, in.Bundle, in.Numbers, in.compiler, in.encoded, in.exempt = l.Files, with.Bundle, l.Numbers, with.compiler, l.encoded, with.exempt
				return true
			}
		}
	}
	return false
}

// changing returns an intent with some exemptions changed. ok is false if a change cannot be made.
func (in *Intent) changing(all []exemptionChange, now time.Time) (with *Intent, ok bool) {
	with = in
	for _, x := range all {
		var err error
		if with, err = with.exempting(x.of, x.next, now); err != nil {
			return nil, false
		}
	}
	return with, true
}

// maxSharedBut is the number of exemptions up to which shareBut changes them one by one.
const maxSharedBut = 16

type exemptionChange struct {
	of   policy.Exemption
	next *policy.Exemption
}

// changedExemptions compares the stored parts of exemptions. ok is false if too many differ, or if a part cannot be read.
func changedExemptions(was, is map[string][]byte) (all []exemptionChange, ok bool) {
	paths := maps.Clone(was)
	maps.Copy(paths, is)
	for path := range paths {
		if bytes.Equal(was[path], is[path]) {
			continue
		}
		old, err := decodePart(nil, path, was[path])
		if err != nil {
			return nil, false
		}
		now, err := decodePart(nil, path, is[path])
		if err != nil {
			return nil, false
		}
		for i := range now {
			if !slices.Contains(old, now[i]) {
				all = append(all, exemptionChange{now[i], &now[i]})
			}
		}
		for _, e := range old {
			if !slices.ContainsFunc(now, func(x policy.Exemption) bool { return policy.CompareExemptions(x, e) == 0 }) {
				all = append(all, exemptionChange{e, nil})
			}
		}
		if len(all) > maxSharedBut {
			return nil, false
		}
	}
	return all, true
}
