package p4rtserver

import (
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestRefusedBatchFitsItsClient refuses batches of any size. A client that accepts 8 KiB of metadata, which is the default of gRPC's
// C core, must get an answer. The answer is complete, has shortened texts, or is truncated with a note. A client that accepts more
// metadata must get the complete answer.
func TestRefusedBatchFitsItsClient(t *testing.T) {
	r := newRig(t, Options{})
	s := r.server
	s.live = &pipeline{schema: &schema{}, maxState: 1} // the pipeline has no tables, so every update fails
	small, err := grpc.NewClient(r.conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithMaxHeaderListSize(8<<10))
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	c := r.controller()
	c.arbitrate(arbitration(device, "", id(1)))
	c.told(codes.OK, id(1))
	defer func() { s.live = nil }()
	for _, n := range []int{1, 30, 59, 60, 61, 100, 250, 1000, 5000} {
		req := &p4v1.WriteRequest{DeviceId: device, ElectionId: id(1)}
		for i := range n {
			u := &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: uint32(i)}}}}
			req.Updates = append(req.Updates, u)
		}
		_, err := p4v1.NewP4RuntimeClient(small).Write(testContext(t), req)
		st := status.Convert(err)
		if st.Code() != codes.Unknown {
			t.Fatalf("%d updates: %v, want UNKNOWN with the errors", n, err)
		}
		got := details(t, err)
		cut := strings.Contains(st.Message(), "the list of errors is cut: it has the first ")
		if cut != (len(got) < n) || len(got) < min(n, 100) || len(got) > n {
			t.Errorf("%d updates: %d errors, cut %v: %s", n, len(got), cut, st.Message())
		}
		for i, e := range got {
			if codes.Code(e.CanonicalCode) != codes.InvalidArgument {
				t.Fatalf("%d updates: error %d is %v", n, i, e)
			}
		}
		ctx := metadata.AppendToOutgoingContext(testContext(t), MetadataHeader, "16777216")
		_, err = r.client.Write(ctx, req)
		if got := details(t, err); len(got) != n || got[n-1].Message == "" {
			t.Errorf("%d updates, client that takes 16 MiB: %d errors", n, len(got))
		}
	}
}
