package api

import (
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON refuses unknown fields: a request with "switch" instead of "switches" must not change all switches.
type strictJSON struct{ name string }

// Name is the part of the content type after application/.
func (c strictJSON) Name() string { return c.name }

// Marshal writes a message.
func (strictJSON) Marshal(m any) ([]byte, error) {
	message, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a message", m)
	}
	return protojson.Marshal(message)
}

// Unmarshal reads a message. No bytes mean an empty message.
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
