package api

import (
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON refuses fields that a message does not have: who writes "switch" for "switches" must not change all of them.
type strictJSON struct{ name string }

// Name is what the content type has behind application/.
func (c strictJSON) Name() string { return c.name }

// Marshal writes a message.
func (strictJSON) Marshal(m any) ([]byte, error) {
	message, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", m)
	}
	return protojson.Marshal(message)
}

// Unmarshal reads a message. Nothing at all is an empty one.
func (strictJSON) Unmarshal(data []byte, m any) error {
	message, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", m)
	}
	if len(data) == 0 {
		proto.Reset(message)
		return nil
	}
	return protojson.Unmarshal(data, message)
}

var _ connect.Codec = strictJSON{}
