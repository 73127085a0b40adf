// Package op25bv1 is what op25b stores and serves, generated from the .proto files beside it: messages, and clients and servers of grpc-go.
// Those of Connect are in op25bv1connect.
package op25bv1

// Needs protoc 3.21 or newer, protoc-gen-go v1.36.12, protoc-gen-go-grpc v1.6.2 and protoc-gen-connect-go v1.21.1 on PATH.
// Files are known by their path under proto/: reflection shows it, and one process has a path only once.
//go:generate protoc -I ../.. --go_out=../.. --go_opt=paths=source_relative --go-grpc_out=../.. --go-grpc_opt=paths=source_relative --connect-go_out=../.. --connect-go_opt=paths=source_relative op25b/v1/error.proto op25b/v1/plan.proto op25b/v1/intent.proto op25b/v1/fleet.proto op25b/v1/phase.proto op25b/v1/check.proto op25b/v1/audit.proto op25b/v1/store.proto op25b/v1/record.proto
