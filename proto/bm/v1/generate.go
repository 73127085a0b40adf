// Package bmv1 contains the messages and gRPC stubs of the packet service of bmv2's gRPC data plane. It is generated
// from dataplane.proto. Package internal/wire/dataplane implements the client and the server.
package bmv1

// This requires protoc 3.21 or newer, protoc-gen-go v1.36.12 and protoc-gen-go-grpc v1.6.2 on PATH.
//go:generate protoc -I . --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative dataplane.proto
