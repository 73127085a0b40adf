package grpcserve

import (
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxText is the longest status message in bytes. A status travels in HTTP/2 headers, of which gRPC's C core takes 8 KiB by default, and
// escapes a byte in three at worst.
const maxText = 1024

// shorten cuts an error's message, which may quote what a caller sent. Details stay: the service bounds them.
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
