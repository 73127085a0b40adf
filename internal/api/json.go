package api

import (
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON is a JSON codec that refuses unknown fields. Otherwise a request with "switch" instead of "switches" would change all
// switches.
type strictJSON struct{ name string }

// Name returns the part of the content type that follows "application/".
func (c strictJSON) Name() string { return c.name }

// Marshal encodes a message.
func (strictJSON) Marshal(m any) ([]byte, error) {
	message, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a message", m)
	}
	return protojson.Marshal(message)
}

// Unmarshal decodes a message. Empty data means an empty message.
func (strictJSON) Unmarshal(data []byte, m any) error {
	message, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", m)
	}
	if len(data) == 0 {
		proto.Reset(message)
		return nil
	}
	return protojson.Unmarshal(data, message)
}

var _ connect.Codec = strictJSON{}
