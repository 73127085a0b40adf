package api

import (
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

// Limits on a request in a stream of reports.
const (
	// maxReport is the limit on the size of a request, in bytes. 512 events with two addresses take 80 KiB.
	maxReport = 256 << 10
	// maxReportElements is the limit on the elements of a request. An event with an identity and four addresses has 16.
	maxReportElements = 16 << 10
)

// A reportCodec is a codec that checks the number of elements in a report before it decodes the report. Its errors have no values of the report,
// because they are recorded. The door reads all other requests of SubscriberService itself, and hands over empty data.
type reportCodec struct {
	form
	name    string
	measure *measure
}

// reportOptions returns the options of SubscriberService that limit the requests of a stream.
func reportOptions() []connect.HandlerOption {
	all := []connect.HandlerOption{connect.WithReadMaxBytes(maxReport)}
	by := newMeasure((*op25bv1.ReportRequest)(nil).ProtoReflect().Descriptor(), maxReportElements)
	for _, name := range []string{"proto", "json", "json; charset=utf-8"} {
		all = append(all, connect.WithCodec(reportCodec{form{json: name != "proto"}, name, by}))
	}
	return all
}

// Name returns the part of the content type that follows "application/".
func (c reportCodec) Name() string { return c.name }

// Marshal encodes a message.
func (c reportCodec) Marshal(m any) ([]byte, error) {
	message, ok := m.(proto.Message)
	switch {
	case !ok:
		return nil, errMalformed
	case c.json:
		return strictJSON{}.Marshal(message)
	}
	return proto.Marshal(message)
}

// Unmarshal decodes a message.
func (c reportCodec) Unmarshal(data []byte, m any) error {
	message, ok := m.(proto.Message)
	if !ok {
		return errMalformed
	}
	err := c.measured(c.measure.fresh(), message.ProtoReflect().Descriptor(), data)
	if errors.Is(err, errElements) || errors.Is(err, errNested) {
		return err
	}
	if c.unmarshal(data, message) != nil {
		return errMalformed
	}
	return nil
}

var _ connect.Codec = reportCodec{}
