package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
)

// bomb returns head, count repetitions of element, and tail, compressed with gzip.
func bomb(t testing.TB, head, element, tail string, count int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat(element, 1024)
	io.WriteString(z, head)
	for range count / 1024 {
		io.WriteString(z, many)
	}
	io.WriteString(z, tail)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// enveloped prepends the five-byte prefix of a compressed gRPC or Connect message.
func enveloped(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(message))), message...)
}

// slowly is a request body that never ends.
type slowly struct {
	io.Reader
	ctx context.Context
}

// Read returns the data of the embedded reader, and then blocks until the context is cancelled.
func (s slowly) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err == io.EOF && n == 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	return n, nil
}

// An assault is one hostile request.
type assault struct {
	name   string
	path   string
	header map[string]string
	body   []byte
	method string
}

// assaults returns hostile requests for every protocol that the API serves.
func assaults(t testing.TB) []assault {
	text := bomb(t, `{"files":[`, `{},`, `{}]}`, 28<<20)
	binary := bomb(t, "", "\x0a\x00", "", 40<<20)
	const plan, apply, check, list = "/op25b.v1.IntentService/Plan", "/op25b.v1.IntentService/Apply", "/op25b.v1.CheckService/Check", "/op25b.v1.FleetService/ListSwitches"
	const reflection, health = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check"
	unary := func(kind string) map[string]string {
		return map[string]string{"Content-Type": kind, "Content-Encoding": "gzip"}
	}
	grpc := func(kind string) map[string]string {
		return map[string]string{"Content-Type": kind, "Grpc-Encoding": "gzip", "Te": "trailers"}
	}
	stream := map[string]string{"Content-Type": "application/connect+json", "Connect-Content-Encoding": "gzip"}
	return []assault{
		{"Connect, JSON", plan, unary("application/json"), text, ""},
		{"Connect, binary", check, unary("application/proto"), binary, ""},
		{"Connect stream", apply, stream, enveloped(text), ""},
		{"gRPC", plan, grpc("application/grpc"), enveloped(binary), ""},
		{"gRPC, a small call", list, grpc("application/grpc+proto"), enveloped(binary), ""},
		{"gRPC-Web", apply, grpc("application/grpc-web+proto"), enveloped(binary), ""},
		{"gRPC, JSON", plan, grpc("application/grpc+json"), enveloped(text), ""},
		{"reflection", reflection, grpc("application/grpc"), enveloped(binary), ""},
		{"health, gRPC", health, grpc("application/grpc"), enveloped(binary), ""},
		{"health, Connect", health, unary("application/json"), text, ""},
		{"no call", "/op25b.v1.IntentService/Steal", unary("application/json"), text, ""},
		{"a page", "/readyz", unary("application/json"), text, ""},
		{"Connect, GET", plan + "?connect=v1&encoding=json&compression=gzip&base64=1&message=" + strings.Repeat("A", 8000), nil, nil, http.MethodGet},
	}
}

// strike sends a request and returns the HTTP status of the response, or 0 if there was no
// response.
func strike(ctx context.Context, client *http.Client, base string, a assault, body io.Reader, more map[string]string) int {
	method := a.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, base+a.path, body)
	if err != nil {
		return 0
	}
	for _, header := range []map[string]string{a.header, more} {
		for name, value := range header {
			req.Header.Set(name, value)
			if name == "Host" {
				req.Host = value
			}
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
