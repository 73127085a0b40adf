package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// post makes a call over plain HTTP and returns the status, the header and the body of the answer.
func post(t testing.TB, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	return do(t, http.DefaultClient, req)
}

func do(t testing.TB, client *http.Client, req *http.Request) (int, http.Header, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	return resp.StatusCode, resp.Header, string(answer)
}

func get(t testing.TB, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	code, _, body := do(t, http.DefaultClient, req)
	return code, body
}

// The API works with JSON over HTTP/1.1, without a client library.
func TestJSON(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	url := "http://" + w.addr + "/op25b.v1.PhaseService/"
	code, _, body := post(t, url+"ListPhases", "{}")
	var phases struct {
		Revision string
		Phases   []struct{ Name, Effective string }
	}
	if err := json.Unmarshal([]byte(body), &phases); err != nil || code != 200 || phases.Revision != "1" || phases.Phases[2].Effective != "2006-10-01" {
		t.Errorf("%d %s", code, body)
	}
	code, _, body = post(t, url+"ShowPhase", `{"phase": "befor"}`)
	var refused struct {
		Code, Message string
		Details       []struct {
			Type  string
			Debug struct {
				Faults []struct{ Path, What, Way string }
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &refused); err != nil || code != 400 || refused.Code != "invalid_argument" || len(refused.Details) != 1 ||
		refused.Details[0].Type != "op25b.v1.Faults" {
		t.Fatalf("%d %s", code, body)
	}
	if f := refused.Details[0].Debug.Faults; len(f) != 1 || f[0].Path != "phase" || f[0].What != `unknown phase "befor"` || !strings.Contains(f[0].Way, `"before"`) {
		t.Errorf("%v", f)
	}
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8"} {
		code, _, body = post(t, url+"ShowPhase", `{"phase": "before", "switch": ["edge-1"]}`, "Content-Type", contentType)
		if code != 400 || !strings.Contains(body, `unknown field \"switch\"`) {
			t.Errorf("an unknown field: %d %s", code, body)
		}
		if code, _, body = post(t, url+"ListPhases", "", "Content-Type", contentType); code != 200 {
			t.Errorf("nothing: %d %s", code, body)
		}
	}
}

// A page from another site, open in a browser on this host, cannot make calls.
func TestBrowsers(t *testing.T) {
	w := newWorld(t, nil)
	url := "http://" + w.addr + "/op25b.v1.IntentService/Current"
	_, port, _ := strings.Cut(w.addr, ":")
	for _, c := range []struct {
		name   string
		header []string
		code   int
		want   string
	}{
		{"cross site", []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross-origin"},
		{"other origin", []string{"Origin", "https://evil.example"}, 403, "cross-origin"},
		{"a form", []string{"Content-Type", "text/plain"}, 415, ""},
		{"a name that is resolved to loopback", []string{"Host", "evil.example:" + port}, 401, `the requested host is \"evil.example:` + port},
		{"through a proxy", []string{"X-Forwarded-For", "203.0.113.9"}, 401, "without a proxy"},
		{"localhost", []string{"Host", "localhost:" + port}, 400, "there is no intent yet"},
		{"IPv6", []string{"Host", "[::1]:" + port}, 400, "there is no intent yet"},
	} {
		if code, _, body := post(t, url, "{}", c.header...); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, code, body, c.code, c.want)
		}
	}
}

// Connect, gRPC-Web and gRPC return the same answers.
func TestProtocols(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	for name, option := range map[string]connect.ClientOption{"connect": connect.WithProtoJSON(), "gRPC-Web": connect.WithGRPCWeb()} {
		client := &http.Client{Transport: &http.Transport{}}
		c := op25bv1connect.NewPhaseServiceClient(client, "http://"+w.addr, option)
		stream, err := c.Activate(within(t), connect.NewRequest(&op25bv1.ActivateRequest{Phase: "mobile-carriers", Base: 77, Reason: "r"}))
		if err != nil {
			t.Fatal(err)
		}
		for stream.Receive() {
			t.Errorf("%s: %v", name, stream.Msg())
		}
		if err := stream.Err(); connect.CodeOf(err) != connect.CodeAborted {
			t.Errorf("%s: %v", name, err)
		}
		_ = stream.Close()
		client.CloseIdleConnections()
	}
}

// Reflection lists the services and their files, as grpcurl requires.
func TestReflection(t *testing.T) {
	w := newWorld(t, nil)
	stream, err := reflectionv1.NewServerReflectionClient(w.dial()).ServerReflectionInfo(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var names []string
	for _, s := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	want := Services()
	slices.Sort(want)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("services are %q, want %q", names, want)
	}
	for _, name := range want {
		answer := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
		if len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("%s: %v", name, answer)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t, nil)
	c := healthv1.NewHealthClient(w.dial())
	for _, service := range append(Services(), "") {
		if got, err := c.Check(within(t), &healthv1.HealthCheckRequest{Service: service}); err != nil || got.Status != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, got, err)
		}
	}
	if _, err := c.Check(within(t), &healthv1.HealthCheckRequest{Service: "x"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `unknown service "x"; known: op25b.v1.IntentService`) {
		t.Errorf("%v", err)
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if code, body := get(t, "http://"+w.addr+path); code != 200 || body != want {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	if code, body := get(t, "http://"+w.addr+"/metrics"); code != 200 || !strings.Contains(body, `op25b_api_calls_total{code="not_found",procedure="/grpc.health.v1.Health/Check"} 1`) {
		t.Errorf("/metrics: %d %s", code, body)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Check(within(t), &healthv1.HealthCheckRequest{}); err != nil || got.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("without a store: %v, %v", got, err)
	}
	if code, body := get(t, "http://"+w.addr+"/readyz"); code != 503 || !strings.HasPrefix(body, "not ready: ") || !strings.Contains(body, "store closed") {
		t.Errorf("without a store: %d %q", code, body)
	}
	if code, _ := get(t, "http://"+w.addr+"/healthz"); code != 200 {
		t.Errorf("without a store the process lives all the same: %d", code)
	}
}

// The log has one line for each call, with the caller and the code, but without the contents of the
// call.
func TestLog(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewCheckServiceClient(w.dial())
	if _, err := c.CheckMail(within(t), &op25bv1.CheckMailRequest{Address: "somebody@secret.example"}); status.Code(err) != codes.Unimplemented {
		t.Errorf("without a desk: %v", err)
	}
	lines := w.logs.FilterMessage("call").All()
	if len(lines) != 1 {
		t.Fatalf("%d lines for a call", len(lines))
	}
	fields := lines[0].ContextMap()
	if fields["call"] != "/op25b.v1.CheckService/CheckMail" || fields["who"] != LocalCaller || fields["role"] != "admin" || fields["code"] != "unimplemented" || fields["protocol"] != "grpc" {
		t.Errorf("%v", fields)
	}
	for _, line := range w.logs.All() {
		for key, value := range line.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, "secret") {
				t.Errorf("%s: %s: the address is in the log", line.Message, key)
			}
		}
	}
	if n := w.logs.FilterMessageSnippet("every program on this host is admin").Len(); n != 1 {
		t.Errorf("that everybody is admin is said %d times, want once", n)
	}
}

// panicking panics in every call.
type panicking struct{ Questions }

func TestPanic(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.Check = panicking{} })
	w.put(spinnet(t))
	c := op25bv1.NewCheckServiceClient(w.dial())
	_, err := c.Check(within(t), &op25bv1.CheckRequest{Port: 25})
	if status.Code(err) != codes.Internal || status.Convert(err).Message() != "/op25b.v1.CheckService/Check failed because of a bug in op25b; the log of the controller has the stack" {
		t.Errorf("%v", err)
	}
	if n := w.logs.FilterMessage("panic").Len(); n != 1 {
		t.Errorf("the log has %d panics, want 1", n)
	}
	if n := w.logs.FilterMessage("call").Len(); n != 1 {
		t.Errorf("the log has %d calls, want 1", n)
	}
	if _, err := op25bv1.NewIntentServiceClient(w.dial()).Current(within(t), &op25bv1.CurrentRequest{}); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

// A request that is too large is refused, and the error contains the limit.
func TestLarge(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.dial(grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1 << 30)))
	fleet := op25bv1.NewFleetServiceClient(conn)
	if _, err := fleet.Drift(within(t), &op25bv1.DriftRequest{Switches: []string{strings.Repeat("x", maxMessage)}}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a large request: %v", err)
	}
	half := make([]byte, MaxFiles/2+1)
	_, err := op25bv1.NewIntentServiceClient(conn).Plan(within(t), &op25bv1.PlanRequest{Files: []*op25bv1.File{{Name: "a", Data: half}, {Name: "b", Data: half}}})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "the files have more than 64 MiB together, which is the limit") {
		t.Errorf("large files: %v", err)
	}
}

// When a caller disconnects, the work for its call ends.
func TestGone(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(within(t))
	stream, err := op25bv1.NewFleetServiceClient(w.dial()).WatchSwitches(ctx, &op25bv1.WatchSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
}
