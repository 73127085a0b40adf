package pipeline

import (
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"
)

// Known are entries by their encoding, for decoding what switches say of them without making them again. It is not changed once made, and a
// nil one knows nothing.
type Known struct{ byEncoding map[string]Entry }

func newKnown(entries []Entry) *Known {
	k := &Known{byEncoding: make(map[string]Entry, len(entries))}
	for _, e := range entries {
		// A switch may encode it otherwise; then it is decoded.
		if encoded, err := proto.Marshal(e.Entity); err == nil {
			k.byEncoding[string(encoded)] = e
		}
	}
	return k
}

// Decode is FromEntity of an entity's encoding.
func (k *Known) Decode(encoded []byte) (Entry, error) {
	if k != nil {
		if e, ok := k.byEncoding[string(encoded)]; ok {
			return e, nil
		}
	}
	entity := new(p4v1.Entity)
	if err := proto.Unmarshal(encoded, entity); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return FromEntity(entity)
}

// Known are the shared entries of a state: what all of its switches have. They are made once for all of them.
func (s *State) Known() *Known {
	if s.Shared == nil {
		return nil
	}
	return s.Shared.known()
}

// KnownAlready is Known if it has been made, or nil: for reading a switch that may have nothing of it.
func (s *State) KnownAlready() *Known {
	if s.Shared == nil {
		return nil
	}
	s.Shared.mu.Lock()
	defer s.Shared.mu.Unlock()
	return s.Shared.expected
}
