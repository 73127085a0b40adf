// Package op25bv1 contains the messages that op25b stores and serves, with the clients and servers for grpc-go. It is generated from the
// .proto files in this directory. Package op25bv1connect contains the clients and servers for Connect.
package op25bv1

// This requires protoc 3.21 or newer, protoc-gen-go v1.36.12, protoc-gen-go-grpc v1.6.2 and protoc-gen-connect-go v1.21.1 on PATH. The
// paths are relative to proto/, because reflection reports them and a process can register each path only once.
//go:generate protoc -I ../.. --go_out=../.. --go_opt=paths=source_relative --go-grpc_out=../.. --go-grpc_opt=paths=source_relative --connect-go_out=../.. --connect-go_opt=paths=source_relative op25b/v1/abuse.proto op25b/v1/error.proto op25b/v1/plan.proto op25b/v1/intent.proto op25b/v1/fleet.proto op25b/v1/telemetry.proto op25b/v1/phase.proto op25b/v1/check.proto op25b/v1/portal.proto op25b/v1/subscriber.proto op25b/v1/lease.proto op25b/v1/exemption.proto op25b/v1/rollout.proto op25b/v1/audit.proto op25b/v1/store.proto op25b/v1/record.proto
