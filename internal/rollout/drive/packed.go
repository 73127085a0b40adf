package drive

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// packBeyond is the size of the JSON of a record beyond which it is stored compressed. The counts of 1,000 switches take more than a record may have.
	packBeyond = 64 << 10
	// maxUnpacked bounds the JSON of a compressed record.
	maxUnpacked = 16 << 20
)

// plainStored is a Stored without its methods.
type plainStored Stored

// A packed is the stored form of a large record.
type packed struct {
	GZIP []byte `json:"gzip"`
}

// MarshalJSON encodes the record, compressed if it is large.
func (s Stored) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(plainStored(s))
	if err != nil || len(text) <= packBeyond {
		return text, err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(packed{b.Bytes()})
}

// UnmarshalJSON decodes what MarshalJSON has made.
func (s *Stored) UnmarshalJSON(text []byte) error {
	var p packed
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if p.GZIP != nil {
		z, err := gzip.NewReader(bytes.NewReader(p.GZIP))
		if err != nil {
			return fmt.Errorf("a compressed rollout: %w", err)
		}
		if text, err = io.ReadAll(io.LimitReader(z, maxUnpacked+1)); err != nil {
			return fmt.Errorf("a compressed rollout: %w", err)
		}
		if len(text) > maxUnpacked {
			return errTooLarge
		}
	}
	return json.Unmarshal(text, (*plainStored)(s))
}

// errTooLarge means that a compressed record has more than maxUnpacked bytes.
var errTooLarge = errors.New("a compressed rollout has more than 16 MiB")

var (
	_ json.Marshaler   = Stored{}
	_ json.Unmarshaler = (*Stored)(nil)
)
