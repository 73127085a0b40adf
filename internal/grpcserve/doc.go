// Package grpcserve runs gRPC services in such a way that no caller can exhaust the resources of the process. The embedded switch, the agent
// and the controller's gNMI use it.
//
// It limits the number of connections and calls, the bytes and elements of a message, and the memory of all messages in progress. It checks
// these limits before it allocates memory for a message. It answers keepalive pings at any rate, closes connections that have reached a certain
// age, and verifies client certificates periodically.
//
// The transport is net/http's HTTP/2 server, which calls grpc.Server.ServeHTTP. gRPC's own transport is not used, for three reasons:
//   - The length of a message is known before the message is read, so that the message can be refused or delayed.
//   - Unread data is limited by windows that all streams of a connection share, and many tiny DATA frames are collected in one buffer. gRPC's
//     own transport keeps a buffer for each frame, so that 16 MiB in frames of one byte take about 1 GiB.
//   - A stream that is not read takes no memory.
//
// The package does not depend on P4Runtime, gNMI or op25b.
package grpcserve
