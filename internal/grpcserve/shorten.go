package grpcserve

import (
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxText is the maximum length of a status message in bytes. A status is sent in HTTP/2 headers. gRPC's C core accepts 8 KiB of headers by
// default, and escaping may triple the length of a message.
const maxText = 1024

// shorten truncates the message of an error, because the message may quote the caller's data. It does not truncate details, because the
// service limits them.
func shorten(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok || st.Code() == codes.OK || len(st.Message()) <= maxText {
		return err
	}
	text := st.Message()[:maxText]
	for len(text) > 0 && !utf8.ValidString(text) && len(text) > maxText-utf8.UTFMax {
		text = text[:len(text)-1]
	}
	p := st.Proto()
	p.Message = text + " ..."
	return status.ErrorProto(p)
}
