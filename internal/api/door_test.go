package api

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"connectrpc.com/connect"

	"op25b/internal/auth"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// zipped compresses data with gzip.
func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// prefixed prepends the flags and the length that precede a message.
func prefixed(flags byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message))), message...)
}

const (
	planPath   = op25bv1connect.IntentServicePlanProcedure
	listPath   = op25bv1connect.FleetServiceListSwitchesProcedure
	verifyPath = op25bv1connect.AuditServiceVerifyProcedure
)

// I12: a request that exceeds a limit is refused before it is decoded. The log has one line for the refusal, the metric counts it once,
// and the answer contains the limit.
func TestBoundsOfRequests(t *testing.T) {
	var deps Deps
	w := newWorld(t, func(d *Deps) { deps = *d })
	json := []string{"Content-Type", "application/json"}
	gzipped := append([]string{"Content-Encoding", "gzip"}, json...)
	grpc := []string{"Content-Type", "application/grpc-web+proto", "Grpc-Encoding", "gzip"}
	stream := []string{"Content-Type", "application/connect+json"}
	files := func(n int) []byte { return []byte(`{"files":[` + strings.Repeat(`{},`, n) + `{}]}`) }
	noise := strings.Repeat("x", maxMessage)
	for _, c := range []struct {
		name   string
		path   string
		header []string
		body   []byte
		why    refusalKind
		want   string // a text in the body of the answer or in grpc-message
	}{
		{"elements in JSON", planPath, json, files(70_000), refusedElements, "too many elements: the request has more than 65536"},
		{"elements, binary", planPath, []string{"Content-Type", "application/proto"}, bytes.Repeat([]byte("\x0a\x00"), 70_000), refusedElements, "too many elements"},
		{"elements of a small call", verifyPath, json, []byte(`{"known":[` + strings.Repeat(`{},`, 70_000) + `{}]}`), refusedElements, "too many elements"},
		{"inflation", planPath, gzipped, zipped(t, files(2_000_000)), refusedInflation, "20 times as many"},
		{"inflation, gRPC-Web", planPath, grpc, prefixed(1, zipped(t, bytes.Repeat([]byte("\x0a\x00"), 4_000_000))), refusedInflation, "20 times as many"},
		{"inflation of a small call", listPath, gzipped, zipped(t, []byte(`{"switches":["`+noise+`"]}`)), refusedSize, "accepts at most 262144 bytes"},
		{"size", listPath, json, []byte(`{"switches":["` + noise + `"]}`), refusedSize, "the message has 262161 bytes, and " + listPath + " accepts at most 262144"},
		{"size that is announced", listPath, grpc, []byte{0, 0xff, 0xff, 0xff, 0xff}, refusedSize, "the message has 4294967295 bytes"},
		{"depth", planPath, json, []byte(strings.Repeat(`{"plan":`, 40)), refusedElements, "nested more than 32 levels deep"},
		{"depth, binary", planPath, []string{"Content-Type", "application/proto"}, []byte("\x0b\x0c"), refusedMalformed, "a group"},
		{"not gzip", planPath, gzipped, []byte("{}"), refusedMalformed, "not a request: "},
		{"two messages", listPath, stream, append(prefixed(0, []byte("{}")), prefixed(0, []byte("{}"))...), refusedMalformed, "more than one message"},
		{"half a message", listPath, stream, prefixed(0, []byte("{}"))[:6], refusedBroken, "received 1 bytes of 2"},
		{"a flag without encoding", listPath, stream, prefixed(1, []byte("{}")), refusedMalformed, "flags 0x01"},
		{"not JSON", listPath, json, []byte(`{"switches":[}`), refusedMalformed, "syntax error"},
		{"a long name", listPath, json, []byte(`{"` + strings.Repeat("x", 100_000) + `":1}`), refusedMalformed, "unknown field"},
	} {
		before := w.logs.FilterMessage("request refused").FilterField(zap.String("why", string(c.why))).Len()
		code, header, body := post(t, "http://"+w.addr+c.path, string(c.body), c.header...)
		said := body + header.Get("Grpc-Message")
		if code == http.StatusInternalServerError || !strings.Contains(said, strings.ReplaceAll(c.want, `"`, `\"`)) || len(said) > 2000 {
			t.Errorf("%s: %d %.300s", c.name, code, said)
		}
		lines := w.logs.FilterMessage("request refused").FilterField(zap.String("why", string(c.why))).All()
		if len(lines) != before+1 {
			t.Errorf("%s: %d lines in the log", c.name, len(lines)-before)
			continue
		}
		if f := lines[before].ContextMap(); f["call"] != c.path || !strings.HasPrefix(fmt.Sprint(f["peer"]), "127.0.0.1:") || f["error"] == "" {
			t.Errorf("%s: the log has %v", c.name, f)
		}
	}
	if by := refusedBy(t, deps.Metrics); by[planPath+" inflation"] != 2 || by[listPath+" size"] != 3 {
		t.Errorf("the metrics have %v", by)
	}
}

// Requests within the limits are accepted in every protocol and encoding.
func TestWithinBounds(t *testing.T) {
	w := newWorld(t, nil)
	names := `{"switches":["` + strings.TrimSuffix(strings.Repeat(`edge-0001","`, 2000), `","`) + `"]}`
	message, err := proto.Marshal(&op25bv1.ListSwitchesRequest{Switches: []string{"edge-1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		header []string
		body   string
	}{
		{"JSON", nil, names},
		{"JSON with gzip", []string{"Content-Encoding", "gzip"}, string(zipped(t, []byte(names)))},
		{"binary", []string{"Content-Type", "application/proto"}, string(message)},
		{"binary with gzip", []string{"Content-Type", "application/proto", "Content-Encoding", "gzip"}, string(zipped(t, message))},
	} {
		if code, _, body := post(t, "http://"+w.addr+listPath, c.body, c.header...); code != http.StatusNotFound || !strings.Contains(body, `; known: none`) {
			t.Errorf("%s: %d %s", c.name, code, body)
		}
	}
	for _, c := range []struct{ kind, encoding, body string }{
		{"application/grpc", "", string(prefixed(0, message))},
		{"application/grpc", "gzip", string(prefixed(1, zipped(t, message)))},
		{"application/grpc-web+proto", "gzip", string(prefixed(0, message))},
		{"application/grpc+json", "identity", string(prefixed(0, []byte(names)))},
	} {
		code, header, body := post(t, "http://"+w.addr+listPath, c.body, "Content-Type", c.kind, "Grpc-Encoding", c.encoding)
		if said := header.Get("Grpc-Message") + body; code != http.StatusOK || !strings.Contains(said, `known: none`) && c.kind != "application/grpc" && c.kind != "application/grpc+json" {
			t.Errorf("%s %s: %d %s %v", c.kind, c.encoding, code, said, header)
		}
	}
	// The largest allowed request has 64 MiB of files. They contain noise that cannot be compressed.
	if testing.Short() {
		return
	}
	big := &op25bv1.PlanRequest{Files: []*op25bv1.File{{Name: "a.yaml", Data: append([]byte("# "), bytes.Repeat([]byte("x"), MaxFiles-2)...)}}}
	message, err = proto.Marshal(big)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, body := post(t, "http://"+w.addr+planPath, string(message), "Content-Type", "application/proto"); code != http.StatusBadRequest || !strings.Contains(body, "there is no Policy document") {
		t.Errorf("the most files: %d %.200s", code, body)
	}
}

// Deps.MaxFiles lowers the limit on both the message and the files in it.
func TestFewerFiles(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.MaxFiles = MinFiles })
	for _, c := range []struct {
		bytes int
		want  string
	}{
		{MinFiles, "there is no Policy document"},
		{MinFiles + 1, "the files have more than 1 MiB together, which is the limit"},
		{3 * MinFiles, "accepts at most 2446676"},
	} {
		data := append([]byte("# "), bytes.Repeat([]byte("x"), c.bytes-2)...)
		message, err := proto.Marshal(&op25bv1.PlanRequest{Files: []*op25bv1.File{{Name: "a.yaml", Data: data}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, body := post(t, "http://"+w.addr+planPath, string(message), "Content-Type", "application/proto"); !strings.Contains(body, c.want) {
			t.Errorf("%d bytes: %.300s, want %s", c.bytes, body, c.want)
		}
	}
}

// I12: if a body does not arrive in time, the request ends and its memory is released, over both HTTP/1.1 and HTTP/2.
func TestSlowBodies(t *testing.T) {
	var deps Deps
	newWorld(t, func(d *Deps) { deps = *d })
	deps.Metrics = nil
	d := New(deps).(*door)
	d.within = 50 * time.Millisecond
	addr := serve(t, Listening{Addr: "127.0.0.1:0"}, d)
	for _, http2 := range []bool{false, true} {
		var p http.Protocols
		p.SetHTTP1(!http2)
		p.SetUnencryptedHTTP2(http2)
		client := &http.Client{Transport: &http.Transport{Protocols: &p}}
		for _, header := range [][]string{{"application/json", "{"}, {"application/grpc", "\x00\x00\x00\x00\x05ab"}, {"application/connect+json", "\x00\x00\x00\x00\x02{}"}} {
			body, send := io.Pipe()
			req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+addr+planPath, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", header[0])
			go func() { _, _ = io.WriteString(send, header[1]) }()
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("HTTP/2 %v, %s: %v", http2, header[0], err)
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			_ = send.Close()
			if said := string(text) + resp.Header.Get("Grpc-Message") + resp.Trailer.Get("Grpc-Message"); !strings.Contains(said, "was not received in time") {
				t.Errorf("HTTP/2 %v, %s: %s %s %v", http2, header[0], resp.Status, said, resp.Trailer)
			}
		}
		client.CloseIdleConnections()
	}
	if d.budget.held != 0 {
		t.Errorf("%d bytes are held", d.budget.held)
	}
}

// When the budget is used up, the next request is refused with the time to wait.
func TestBudgetIsUsedUp(t *testing.T) {
	var deps Deps
	newWorld(t, func(d *Deps) { deps = *d })
	deps.Metrics = nil
	d := New(deps).(*door)
	d.budget.most = 100 << 10
	addr := serve(t, Listening{Addr: "127.0.0.1:0"}, d)
	code, header, body := post(t, "http://"+addr+listPath, `{"switches":["`+strings.Repeat("x", 150<<10)+`"]}`)
	if code != http.StatusTooManyRequests || header.Get("Retry-After") != "5" || !strings.Contains(body, "google.rpc.RetryInfo") {
		t.Errorf("%d %v %s", code, header, body)
	}
	if code, _, body := post(t, "http://"+addr+listPath, `{}`); code != http.StatusOK {
		t.Errorf("after that: %d %s", code, body)
	}
}

// Many refusals produce only a few log lines, but the metric counts all of them.
func TestRefusalsAreThinned(t *testing.T) {
	var deps Deps
	w := newWorld(t, func(d *Deps) { d.Auth.Access = new(auth.File); deps = *d })
	for range 50 {
		post(t, "http://"+w.addr+"/nothing", "{}")
	}
	if n := w.logs.FilterMessage("request refused").Len(); n != linesAtOnce {
		t.Errorf("%d lines", n)
	}
	if by := refusedBy(t, deps.Metrics); by["other path"] != 50 {
		t.Errorf("the metrics have %v", by)
	}
}

// refusedBy returns the number of refusals in the metrics, keyed by procedure and reason.
func refusedBy(t testing.TB, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "op25b_api_refused_total" {
				by[m.Label[0].GetValue()+" "+m.Label[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return by
}

// A pipeConn is a connection with a given remote address.
type pipeConn struct {
	net.Conn
	remote string
	closed bool
}

// RemoteAddr returns the given address.
func (c *pipeConn) RemoteAddr() net.Addr {
	at, _ := net.ResolveTCPAddr("tcp", c.remote)
	return at
}

// Close records that the connection was closed.
func (c *pipeConn) Close() error { c.closed = true; return nil }

// A new connection replaces the oldest connection that has no authenticated caller. If all connections have authenticated callers, the
// new connection is refused.
func TestConnectionsMakeRoom(t *testing.T) {
	x := newConnections(3, 2)
	var told []string
	x.refused = func(remote string, err error) { told = append(told, remote+": "+err.Error()) }
	open := func(remote string) (*trackedConn, *pipeConn) {
		p := &pipeConn{remote: remote}
		return x.add(p), p
	}
	a, pa := open("192.0.2.1:1")
	a.known.Store(true)
	b, pb := open("192.0.2.1:2")
	_, pc := open("192.0.2.1:3") // the address already has two connections
	if pa.closed || !pb.closed || pc.closed || b == nil {
		t.Errorf("the third of an address: %v %v %v", pa.closed, pb.closed, pc.closed)
	}
	_ = b.Close() // the HTTP server also calls Close
	d, pd := open("192.0.2.2:1")
	d.known.Store(true)
	e, _ := open("192.0.2.3:1")
	if e == nil || !pc.closed || pd.closed || pa.closed {
		t.Error("the one that is full takes the oldest stranger's room")
	}
	_ = x.oldestLocked
	for c := range x.open {
		c.known.Store(true)
	}
	if f, pf := open("192.0.2.4:1"); f != nil && !pf.closed && len(x.open) > 4 {
		t.Error("known callers had to go")
	}
	if len(told) == 0 || !strings.Contains(told[0], "too many connections: 2 are open from 192.0.2.1, which is the limit") {
		t.Errorf("%q", told)
	}
}

// FuzzDoor sends arbitrary bytes in every encoding to several calls, and verifies that no request exceeds its memory limit.
func FuzzDoor(f *testing.F) {
	paths := []string{planPath, listPath, verifyPath, op25bv1connect.IntentServiceApplyProcedure, op25bv1connect.CheckServiceCheckProcedure, op25bv1connect.PhaseServiceActivateProcedure}
	kinds := []string{"application/json", "application/proto", "application/grpc", "application/grpc-web+proto", "application/connect+json", "application/grpc+json"}
	encodings := []string{"", "gzip", "identity", "br"}
	mux := http.NewServeMux()
	options := []connect.HandlerOption{connect.WithInterceptors(taker{}), connect.WithReadMaxBytes(maxQuestion), connect.WithCodec(strictJSON{"json"})}
	mux.Handle(op25bv1connect.NewIntentServiceHandler(op25bv1connect.UnimplementedIntentServiceHandler{}, options...))
	mux.Handle(op25bv1connect.NewFleetServiceHandler(op25bv1connect.UnimplementedFleetServiceHandler{}, options...))
	mux.Handle(op25bv1connect.NewAuditServiceHandler(op25bv1connect.UnimplementedAuditServiceHandler{}, options...))
	mux.Handle(op25bv1connect.NewPhaseServiceHandler(op25bv1connect.UnimplementedPhaseServiceHandler{}, options...))
	mux.Handle(op25bv1connect.NewCheckServiceHandler(op25bv1connect.UnimplementedCheckServiceHandler{}, options...))
	calls, err := callsOf(MaxFiles)
	if err != nil {
		f.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	d := &door{
		next: mux, calls: calls, guard: &guard{now: time.Now, log: zap.NewNop(), refusals: newRefusals(time.Now)}, onlooker: newOnlooker(zap.NewNop(), registry),
		doorLog: newDoorLog(zap.NewNop(), registry, time.Now), budget: budget{most: maxHeld}, origin: http.NewCrossOriginProtection(),
		errors: connect.NewErrorWriter(options...), within: bodyWithin, large: largeTurns(), probes: make(chan struct{}, maxProbes),
	}
	empties := bytes.Repeat([]byte("\x0a\x00"), 1000)
	f.Add(uint8(0), uint8(0), uint8(0), []byte(`{"files":[{},{"name":"a","data":"eA=="}],"base":"1"}`))
	f.Add(uint8(0), uint8(0), uint8(1), zipped(f, []byte(`{"files":[`+strings.Repeat(`{},`, 10_000)+`{}]}`)))
	f.Add(uint8(0), uint8(1), uint8(0), empties)
	f.Add(uint8(3), uint8(2), uint8(1), prefixed(1, zipped(f, empties)))
	f.Add(uint8(2), uint8(3), uint8(0), prefixed(0, empties))
	f.Add(uint8(4), uint8(4), uint8(0), prefixed(0, []byte(`{"from":{"at":"2006-01-02T15:04:05Z","files":[{}]}}`)))
	f.Add(uint8(5), uint8(5), uint8(1), prefixed(1, zipped(f, []byte(`{"phase":"a","groups":["b"]}`))))
	f.Fuzz(func(t *testing.T, path, kind, encoding uint8, body []byte) {
		req := httptest.NewRequest(http.MethodPost, paths[int(path)%len(paths)], bytes.NewReader(body))
		req.RemoteAddr, req.Host = "127.0.0.1:9", "localhost"
		k, e := kinds[int(kind)%len(kinds)], encodings[int(encoding)%len(encodings)]
		req.Header.Set("Content-Type", k)
		for _, name := range []string{"Content-Encoding", "Grpc-Encoding", "Connect-Content-Encoding"} {
			if e != "" {
				req.Header.Set(name, e)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer := httptest.NewRecorder()
		d.ServeHTTP(answer, req)
		runtime.ReadMemStats(&after)
		// TotalAlloc includes garbage, so it is several times the memory in use. 65,536 elements of 400 bytes are 26 MiB.
		if took := after.TotalAlloc - before.TotalAlloc; took > 128<<20+100*uint64(len(body)) {
			t.Errorf("%s, %s, %s, %d bytes: %d MiB were allocated", req.URL.Path, k, e, len(body), took>>20)
		}
		if d.budget.held != 0 {
			t.Fatalf("%d bytes are held", d.budget.held)
		}
		if answer.Code == http.StatusInternalServerError {
			t.Errorf("%s: %s", req.URL.Path, answer.Body)
		}
	})
}
