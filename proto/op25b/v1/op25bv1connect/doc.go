// Package op25bv1connect contains the generated clients and servers of op25bv1's services for
// Connect, gRPC and gRPC-Web.
package op25bv1connect
