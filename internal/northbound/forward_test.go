package northbound

import (
	"context"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

// secured returns two controllers with TLS and an access file, and a viewer's token. The first controller owns the switch.
func secured(t *testing.T) (c *cluster, one, two *node, token string) {
	t.Helper()
	c = newCluster(t)
	c.tls = tlstest.New(t).Dir(t, "127.0.0.1")
	c.auth, token = accessOf(t)
	one, two = c.node(t, "noc-1"), c.node(t, "noc-2")
	c.apply(t, one)
	one.take("before")
	two.knows(one)
	return c, one, two, token
}

func secureClient(t *testing.T, c *cluster, n *node, withCertificate bool) gpb.GNMIClient {
	t.Helper()
	files := tlsfiles.Files{CA: c.tls.CA, ServerName: "127.0.0.1"}
	if withCertificate {
		files.Cert, files.Key = c.tls.Cert, c.tls.Key
	}
	config := must(tlsfiles.Client(files))(t)
	return client(t, n.addr, config)
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// TestForward verifies that a controller that does not own the switch forwards Get and Subscribe to the owner. The caller's
// token may have either form.
func TestForward(t *testing.T) {
	c, one, two, token := secured(t)
	direct, via := secureClient(t, c, one, false), secureClient(t, c, two, false)
	want := must(get(withToken(within(t), token), t, direct, "edge-1", "/acl/interfaces"))(t)
	for name, ctx := range map[string]context.Context{
		"token":    withToken(within(t), token),
		"password": metadata.AppendToOutgoingContext(within(t), "username", "gnmic", "password", token),
	} {
		if got, err := get(ctx, t, via, "edge-1", "/acl/interfaces"); err != nil || got != want || want == "" {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	ctx, cancel := context.WithCancel(withToken(within(t), token))
	stream, first, err := subscribe(ctx, t, via, "edge-1", sampled(t))
	if err != nil || len(first) != 1 || first[0].GetVal().GetUintVal() != 5 {
		t.Fatalf("%v, %v", first, err)
	}
	c.edge.set(counted(time.Unix(1e9, 0), 6))
	for packets := uint64(0); packets != 6; {
		packets = must(stream.Recv())(t).GetUpdate().GetUpdate()[0].GetVal().GetUintVal()
	}
	cancel()
	if err := failure(stream); status.Code(err) != codes.Canceled {
		t.Errorf("a canceled stream ended with %v", err)
	}
	// The connection to the owner is closed when its last call ends.
	two.until(func() bool {
		two.service.peers.mu.Lock()
		defer two.service.peers.mu.Unlock()
		return len(two.service.peers.conns) == 0
	})
	// The owner's refusal names the owner.
	_, err = get(withToken(within(t), token), t, via, "edge-1", "/nonsense")
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "forwarded to noc-1 at "+one.addr+": path ") {
		t.Errorf("an unknown path: %v", err)
	}
}

// TestNotForwarded verifies that calls of strangers, calls of callers with only a certificate, and calls that were already
// forwarded are not forwarded.
func TestNotForwarded(t *testing.T) {
	c, one, two, token := secured(t)
	via := secureClient(t, c, two, false)
	for _, ctx := range []context.Context{within(t), withToken(within(t), "op25b_wrong")} {
		if _, err := get(ctx, t, via, "edge-1", "/acl"); status.Code(err) != codes.Unauthenticated {
			t.Errorf("a stranger: %v", err)
		}
		if _, _, err := subscribe(ctx, t, via, "edge-1", sampled(t)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("a stranger: %v", err)
		}
	}
	certified := secureClient(t, c, two, true)
	for _, err := range []error{
		func() error { _, err := get(within(t), t, certified, "edge-1", "/acl"); return err }(),
		func() error { _, _, err := subscribe(within(t), t, certified, "edge-1", sampled(t)); return err }(),
	} {
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "owned by noc-1 at "+one.addr+", and a call with a client certificate cannot be forwarded") {
			t.Errorf("a certificate: %v", err)
		}
	}
	if _, err := get(within(t), t, secureClient(t, c, one, true), "edge-1", "/acl"); err != nil {
		t.Errorf("a certificate at the owner: %v", err)
	}
	looped := metadata.AppendToOutgoingContext(withToken(within(t), token), forwardedKey, "noc-3")
	if _, err := get(looped, t, via, "edge-1", "/acl"); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), `"noc-3" has forwarded the call to noc-2, but the switch is now owned by noc-1`) {
		t.Errorf("a forwarded call: %v", err)
	}
}

// TestNoTokenInPlainText verifies that a controller with TLS forwards no token to a controller without TLS, and vice versa.
func TestNoTokenInPlainText(t *testing.T) {
	c, one, two, token := secured(t)
	two.service.mu.Lock()
	addrs := two.service.members["noc-1"]
	addrs.GNMIPlain = true
	two.service.members["noc-1"] = addrs
	two.service.mu.Unlock()
	_, err := get(withToken(within(t), token), t, secureClient(t, c, two, false), "edge-1", "/acl")
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "one of the two controllers has TLS and the other has not") || !strings.Contains(err.Error(), one.addr) {
		t.Errorf("%v", err)
	}
}

// TestTakeOver verifies that streams on both controllers end with the new owner's name and address when the switch gets
// another owner.
func TestTakeOver(t *testing.T) {
	c, one, two, token := secured(t)
	ctx := withToken(within(t), token)
	local, _, err := subscribe(ctx, t, secureClient(t, c, one, false), "edge-1", sampled(t))
	if err != nil {
		t.Fatal(err)
	}
	remote, _, err := subscribe(ctx, t, secureClient(t, c, two, false), "edge-1", sampled(t))
	if err != nil {
		t.Fatal(err)
	}
	var idle []gpb.GNMI_SubscribeClient // POLL subscriptions that are not polled again
	for _, n := range []*node{one, two} {
		stream := must(secureClient(t, c, n, false).Subscribe(ctx))(t)
		if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: &gpb.SubscriptionList{
			Prefix: &gpb.Path{Target: "edge-1"}, Mode: gpb.SubscriptionList_POLL, Subscription: []*gpb.Subscription{sampled(t)},
		}}}); err != nil {
			t.Fatal(err)
		}
		must(stream.Recv())(t)
		idle = append(idle, stream)
	}
	taken := make(chan struct{})
	go func() { defer close(taken); two.take("before") }()
	one.leave()
	if err := failure(local); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "edge-1 is now owned by noc-2 at "+two.addr+", subscribe again") {
		t.Errorf("at the old owner: %v", err)
	}
	if err := failure(remote); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "edge-1 is now owned by noc-2") {
		t.Errorf("at the new owner: %v", err)
	}
	for _, stream := range idle {
		if err := failure(stream); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "edge-1 is now owned by noc-2") {
			t.Errorf("a POLL: %v", err)
		}
	}
	<-taken
	one.knows(two)
	if _, _, err := subscribe(ctx, t, secureClient(t, c, one, false), "edge-1", sampled(t)); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestOwnerEnds verifies that a forwarded stream ends with the owner, and that the errors of later calls name the last
// owner.
func TestOwnerEnds(t *testing.T) {
	c, one, two, token := secured(t)
	ctx := withToken(within(t), token)
	via := secureClient(t, c, two, false)
	stream, _, err := subscribe(ctx, t, via, "edge-1", sampled(t))
	if err != nil {
		t.Fatal(err)
	}
	one.end()
	if err := failure(stream); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "forwarded to noc-1 at "+one.addr) {
		t.Errorf("the stream ended with %v", err)
	}
	if _, err := get(ctx, t, via, "edge-1", "/acl"); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "forwarded to noc-1 at "+one.addr) {
		t.Errorf("get: %v", err)
	}
	if err := one.presence.Leave(within(t)); err != nil {
		t.Fatal(err)
	}
	two.until(func() bool {
		_, err = get(ctx, t, via, "edge-1", "/acl")
		return strings.Contains(err.Error(), "its owner noc-1 has ended; another controller takes it over within seconds")
	})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("get: %v", err)
	}
}
