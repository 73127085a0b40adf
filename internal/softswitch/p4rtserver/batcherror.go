package p4rtserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf8"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// A status and its details are sent in HTTP/2 headers, and a client accepts only a limited number of header bytes (P4Runtime, "gRPC
// Metadata Maximum Size"). A client that receives more bytes resets the stream and gets no status at all.
const (
	// MetadataHeader is the request header in which a client states how many metadata bytes it accepts. In gRPC's C core this is
	// grpc.max_metadata_size, and in Go the maximum header list size.
	MetadataHeader = "max-metadata-size"
	// defaultMetadata is the limit for clients that do not send the header. It is gRPC's default.
	defaultMetadata = 8 << 10
	// maxMetadata is the largest limit that the server uses, even if the client accepts more.
	maxMetadata = 4 << 20
	// metadataMargin is the number of bytes reserved for headers other than the status.
	metadataMargin = 512
	// briefText is the largest number of bytes of an update's error text; longer texts are shortened.
	briefText = 256
)

// The type URLs of a packed p4.v1.Error. A type URL ends with a slash and the name of the type. Clients ignore the part before the slash.
const (
	longURL  = "type.googleapis.com/p4.v1.Error"
	shortURL = "/p4.v1.Error"
)

// metadataLimit returns the number of metadata bytes that the caller of an RPC accepts, within the server's own limits.
func metadataLimit(ctx context.Context) int {
	for _, v := range metadata.ValueFromIncomingContext(ctx, MetadataHeader) {
		if n, err := strconv.Atoi(v); err == nil && n >= defaultMetadata {
			return min(n, maxMetadata)
		}
	}
	return defaultMetadata
}

// brief returns an error with the same code and a shortened text.
func brief(err error) error {
	st := status.Convert(err)
	return status.Error(st.Code(), cut(st.Message(), briefText))
}

// cut returns the longest prefix of s that has at most n bytes and does not end within a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// batchError returns the status of a batch, or nil if no element failed. The status has the code UNKNOWN and one p4.v1.Error for each
// element, including successful elements, in the order of the batch (spec 12.3).
//
// If the errors do not fit into limit bytes of metadata, their texts are shortened or omitted. If the errors do not fit even without texts,
// the list is truncated and the message states this. The client must then read back the state of the other elements.
func batchError(rpc string, errs []error, limit int) error {
	failed, first := 0, -1
	for i, err := range errs {
		if err != nil {
			if failed++; first < 0 {
				first = i
			}
		}
	}
	if failed == 0 {
		return nil
	}
	msg := fmt.Sprintf("%s: %d of %d failed; the first, number %d: %s", rpc, failed, len(errs), first, cut(status.Convert(errs[first]).Message(), briefText))
	for _, form := range []errorForm{{longURL, errorSpace, briefText}, {longURL, errorSpace, 64}, {shortURL, "", 48}, {shortURL, "", 0}} {
		if out, n := form.list(msg, errs, limit); n == len(errs) {
			return status.ErrorProto(out)
		}
	}
	form := errorForm{shortURL, "", 0} // the codes of many elements are more useful than the texts of a few
	said := func(n int) string {
		return fmt.Sprintf("%s; the list of errors is cut: it has the first %d of %d, read back what became of the others", msg, n, len(errs))
	}
	_, n := form.list(said(len(errs)), errs, limit)
	out, _ := form.list(said(n), errs[:n], limit)
	return status.ErrorProto(out)
}

// An errorForm defines how an element's error is encoded.
type errorForm struct {
	url, space string
	text       int // largest length of a text, in bytes
}

// list encodes errors in order until they no longer fit. It returns the number of errors that it has encoded.
func (f errorForm) list(msg string, errs []error, limit int) (*rpcstatus.Status, int) {
	out := &rpcstatus.Status{Code: int32(codes.Unknown), Message: msg}
	raw := proto.Size(out)
	for i, err := range errs {
		e := &p4v1.Error{}
		if err != nil {
			st := status.Convert(err)
			e.CanonicalCode, e.Message, e.Space = int32(st.Code()), cut(st.Message(), f.text), f.space
		}
		value, _ := proto.Marshal(e) // cannot fail, because all strings are valid UTF-8
		detail := &anypb.Any{TypeUrl: f.url, Value: value}
		n := proto.Size(detail)
		raw += n + 1 + sizeVarint(n)
		if metadataSize(msg, raw) > limit {
			return out, i
		}
		out.Details = append(out.Details, detail)
	}
	return out, len(errs)
}

func sizeVarint(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// metadataSize returns the size of a status's trailers as HTTP/2 defines it: for each field, the name, the value and 32 bytes.
func metadataSize(msg string, details int) int {
	const perField = 32
	escaped := 0
	for i := range len(msg) { // gRPC over HTTP/2 encodes these bytes as %XX ("Percent-Encoded")
		if c := msg[i]; c < ' ' || c > '~' || c == '%' {
			escaped += 2
		}
	}
	return metadataMargin +
		len("grpc-status") + len("2") + perField +
		len("grpc-message") + len(msg) + escaped + perField +
		len("grpc-status-details-bin") + base64.RawStdEncoding.EncodedLen(details) + perField
}
