// Package grpcserve runs gRPC services so that no caller can exhaust the process: the embedded switch and the agent serve through it.
//
// It limits connections, calls, the bytes and elements of a message, and the memory of all messages in progress, before it allocates memory for
// them. It answers keepalive pings at any rate, closes connections of a certain age, and verifies client certificates periodically.
//
// The transport is net/http's HTTP/2 server in front of grpc.Server.ServeHTTP, not gRPC's own transport, for three reasons:
//   - The length of a message is known before it is read, so that the message can be refused or delayed.
//   - Unread data stays in windows that all streams of a connection share, and many tiny DATA frames become one buffer. gRPC's own transport
//     keeps a buffer for each frame, so that 16 MiB in frames of one byte take about 1 GiB.
//   - A stream that is not read takes no memory.
//
// It is independent of P4Runtime, gNMI and op25b.
package grpcserve
