// Package op25bv1connect is the services of op25bv1 over Connect, gRPC and gRPC-Web, generated.
package op25bv1connect
