// Package grpcserve runs gRPC services so that no caller can exhaust the process: the embedded switch and the agent serve through it.
//
// It bounds connections, calls, the bytes and the elements of a message, and the memory of all messages in work, each before anything is
// allocated for it. It answers keepalive pings at any rate, ends connections of a certain age, and checks a client's certificate again
// for as long as a connection lives.
//
// The transport is net/http's HTTP/2 server in front of grpc.Server.ServeHTTP, and not gRPC's own. Three things are only possible there:
//   - The length of a message is known, and can be refused or made to wait, before the message is read.
//   - Data waits in windows that all streams of a connection share, and many tiny DATA frames become one buffer. gRPC's own transport keeps
//     a buffer for each frame, so that 16 MiB in frames of one byte take about 1 GiB.
//   - A stream that is not read has no effect on memory.
//
// It knows nothing of P4Runtime, gNMI or op25b.
package grpcserve
