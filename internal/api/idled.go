package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	op25bv1 "op25b/proto/op25b/v1"
)

// Limits on streams of reports.
const (
	// maxReport is the limit on the size of a request, in bytes. 512 events with two addresses take 80 KiB.
	maxReport = 256 << 10
	// maxReportElements is the limit on the elements of a request. An event with an identity and four addresses has 16.
	maxReportElements = 16 << 10
	// reportHeld is the memory that a stream may use: a request as received, inflated and decoded, and its events.
	reportHeld = 4 << 20
	// reportIdle is the time in which the next request must arrive.
	reportIdle = 5 * time.Minute
)

// An idled is the body of a stream. Its reads fail if nothing arrives for some time.
type idled struct {
	io.ReadCloser
	within  time.Duration
	control *http.ResponseController

	mu   sync.Mutex // guards the fields below
	over bool       // the reads fail from now on
	late bool       // nothing arrived for some time
}

type idledKey struct{}

func newIdled(w http.ResponseWriter, body io.ReadCloser, within time.Duration) *idled {
	return &idled{ReadCloser: body, within: within, control: http.NewResponseController(w)}
}

// Read reads from the body.
func (b *idled) Read(p []byte) (int, error) {
	b.wait()
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.late = !b.over
	}
	return n, err
}

func (b *idled) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		_ = b.control.SetReadDeadline(time.Now().Add(b.within))
	}
}

// cut makes the reads fail from now on.
func (b *idled) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
}

// expired reports whether a read failed because nothing arrived for some time.
func (b *idled) expired() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.late
}

// A reportCodec is a codec that checks the number of elements in a report before it decodes the report. Its errors have no values of the report,
// because they are recorded.
type reportCodec struct {
	json    bool
	name    string
	measure *measure
}

func newReportCodec(name string, json bool) reportCodec {
	return reportCodec{json, name, newMeasure(reportDescriptor(), maxReportElements)}
}

func reportDescriptor() protoreflect.MessageDescriptor {
	return (*op25bv1.ReportRequest)(nil).ProtoReflect().Descriptor()
}

// Name returns the part of the content type that follows "application/".
func (c reportCodec) Name() string { return c.name }

// Marshal encodes a message.
func (c reportCodec) Marshal(m any) ([]byte, error) {
	if c.json {
		return strictJSON{}.Marshal(m)
	}
	message, ok := m.(proto.Message)
	if !ok {
		return nil, errMalformed
	}
	return proto.Marshal(message)
}

// Unmarshal decodes a message.
func (c reportCodec) Unmarshal(data []byte, m any) error {
	_, reports := m.(*op25bv1.ReportRequest)
	if reports && len(data) > 0 {
		f, measured := c.measure.fresh(), error(nil)
		if c.json {
			measured = f.json(data)
		} else {
			measured = f.binary(data, reportDescriptor(), 1)
		}
		if errors.Is(measured, errElements) || errors.Is(measured, errNested) {
			return measured
		}
	}
	if c.json {
		if err := (strictJSON{}).Unmarshal(data, m); err != nil && reports {
			return errMalformed
		} else if err != nil {
			return err
		}
		return nil
	}
	message, ok := m.(proto.Message)
	if !ok || proto.Unmarshal(data, message) != nil {
		return errMalformed
	}
	return nil
}
