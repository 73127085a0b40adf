package intent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// The exemptions are stored in parts, so that a change of one exemption stores one part again and nothing else. A part is a list of JSON objects, one
// on each line, in the order of policy.CompareExemptions. A part without exemptions is not stored.
const exemptionsFolder = "exemptions/"

// ExemptionsName is the name of the file in which Documents returns the exemptions.
const ExemptionsName = "exemptions.yaml"

// exemptionPart returns the path of the part in which the exemption of a line or a prefix is stored. There are 256 parts: with 80,000 exemptions, a
// part has about 300, or 40 KB.
func exemptionPart(e *policy.Exemption) string {
	h := fnv.New32a()
	h.Write([]byte(e.Line))
	if e.Line == "" {
		h.Write([]byte(e.Prefix.String()))
	}
	sum := h.Sum32()
	return fmt.Sprintf("%s%02x.jsonl", exemptionsFolder, byte(sum^sum>>8^sum>>16^sum>>24))
}

// A storedExemption is the stored form of an exemption.
type storedExemption struct {
	Line    string `json:"line,omitempty"`
	Prefix  string `json:"prefix,omitempty"`
	Owner   string `json:"owner,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Ticket  string `json:"ticket,omitempty"`
	Expires string `json:"expires,omitempty"`
	Review  string `json:"review,omitempty"`
}

// encodeExemptions returns the stored parts of exemptions, by path.
func encodeExemptions(list []policy.Exemption) (map[string][]byte, error) {
	parts := make(map[string][]byte)
	for i := range list {
		line, err := encodeExemption(&list[i])
		if err != nil {
			return nil, err
		}
		path := exemptionPart(&list[i])
		parts[path] = append(parts[path], line...)
	}
	return parts, nil
}

// stored returns the stored form of an exemption.
func stored(e *policy.Exemption) storedExemption {
	s := storedExemption{Line: e.Line, Owner: e.Owner, Reason: e.Reason, Ticket: e.Ticket}
	if e.Line == "" {
		s.Prefix = e.Prefix.String()
	}
	if !e.Expires.IsZero() {
		s.Expires = e.Expires.String()
	}
	if !e.Review.IsZero() {
		s.Review = e.Review.String()
	}
	return s
}

func encodeExemption(e *policy.Exemption) ([]byte, error) {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	err := to.Encode(stored(e))
	return b.Bytes(), err
}

// decodeExemptions returns the exemptions in stored parts, in the order of policy.CompareExemptions.
func decodeExemptions(parts map[string][]byte) (list []policy.Exemption, err error) {
	for path, part := range parts {
		if list, err = decodePart(list, path, part); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, policy.CompareExemptions)
	return list, nil
}

// decodePart appends the exemptions in a part to a list.
func decodePart(list []policy.Exemption, path string, part []byte) ([]policy.Exemption, error) {
	n := 0
	for line := range bytes.Lines(part) {
		n++
		var s storedExemption
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		e := policy.Exemption{Line: s.Line, Owner: s.Owner, Reason: s.Reason, Ticket: s.Ticket}
		var err error
		if s.Prefix != "" {
			if e.Prefix, err = netip.ParsePrefix(s.Prefix); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		if e.Expires, err = policy.ParseDate(s.Expires); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if s.Review != "" {
			if e.Review, err = policy.ParseDate(s.Review); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// exemptionsIn returns the parts of the exemptions among stored documents that are in a folder, which is empty or nextFolder.
func exemptionsIn(docs map[string][]byte, folder string) map[string][]byte {
	parts := make(map[string][]byte)
	for path, text := range docs {
		if part, in := strings.CutPrefix(path, folder); in && strings.HasPrefix(part, exemptionsFolder) {
			parts[part] = text
		}
	}
	return parts
}

func sameExemptions(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// Exemptions returns the exemptions of the intent in the order of policy.CompareExemptions, even if the other documents cannot be used. It returns
// ErrBroken if the exemptions themselves cannot be read.
func (in *Intent) Exemptions() ([]policy.Exemption, error) {
	if in.broken == nil {
		return in.Bundle.Policy.Exemptions, nil
	}
	list, err := decodeExemptions(in.exempt)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return list, nil
}

// Documents returns the files of the intent, ordered by name. The exemptions, if there are any, are in one file, which is called ExemptionsName
// unless another file has this name.
func (in *Intent) Documents() []strict.File {
	list, err := in.Exemptions()
	if err != nil || len(list) == 0 {
		return in.Files
	}
	name := ExemptionsName
	for slices.ContainsFunc(in.Files, func(f strict.File) bool { return f.Name == name }) {
		name = "stored-" + name
	}
	all := append(slices.Clone(in.Files), strict.File{Name: name, Data: policy.EncodeExemptions(list)})
	slices.SortFunc(all, func(a, b strict.File) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// joined replaces the differences of the parts of the exemptions by one difference.
func joined(diffs []store.DocumentDiff) []store.DocumentDiff {
	var all []store.DocumentDiff
	at := -1
	for _, d := range diffs {
		switch {
		case !strings.HasPrefix(d.Path, exemptionsFolder):
			all = append(all, d)
		case at < 0:
			at = len(all)
			all = append(all, store.DocumentDiff{Path: strings.TrimSuffix(exemptionsFolder, "/"), Unified: d.Unified})
		default:
			all[at].Unified += d.Unified
		}
	}
	return all
}
