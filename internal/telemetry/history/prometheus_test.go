package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answers starts a server with the handler h, and returns a history that queries it.
func answers(t *testing.T, cfg PrometheusConfig, h http.HandlerFunc) (*Prometheus, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg.URL, cfg.Client = srv.URL+"/prom/", srv.Client()
	p, err := NewPrometheus(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p, srv.URL + "/prom/api/v1/query_range"
}

func TestPrometheusConfigErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  PrometheusConfig
		want string
	}{
		"no URL":           {PrometheusConfig{}, `the URL of Prometheus is "": want http://HOST:PORT or https://HOST:PORT`},
		"no scheme":        {PrometheusConfig{URL: "prometheus:9090"}, `the URL of Prometheus is "prometheus:9090": want http://HOST:PORT or https://HOST:PORT`},
		"a password":       {PrometheusConfig{URL: "ftp://noc:secret@host"}, `the URL of Prometheus is "ftp://noc:xxxxx@host": want http://HOST:PORT or https://HOST:PORT`},
		"a query":          {PrometheusConfig{URL: "http://host/?a=b"}, `the URL of Prometheus is "http://host/?a=b": want http://HOST:PORT or https://HOST:PORT`},
		"no URL at all":    {PrometheusConfig{URL: "http://noc:secret@[::1"}, "the URL of Prometheus cannot be parsed: want http://HOST:PORT"},
		"a negative bound": {PrometheusConfig{URL: "http://host", MaxBytes: -1}, "Timeout is 0s and MaxBytes -1: they must not be negative"},
	} {
		_, err := NewPrometheus(tc.cfg)
		if want := "invalid history configuration: " + tc.want; !errors.Is(err, ErrConfig) || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%s", name, err, want)
		}
	}
}

func TestPrometheusAnswer(t *testing.T) {
	var asked []url.Values
	p, _ := answers(t, PrometheusConfig{}, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		r.Form.Del("timeout")
		asked = append(asked, r.Form)
		values := `[1159660860,"12.4"],[1159660980,"0"],[1159661040,"NaN"]`
		if len(asked) == 2 {
			values = `[1159660860,"743.6"],[1159660980,"-1"],[1159661100,"+Inf"]`
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"switch":"edge \"1\"","rule":"a\\b","leg":"UP_DST","phase":"p"},"values":[%s]}]},"warnings":["w"]}`, values)
	})
	got, err := p.Range(context.Background(), Query{From: t0, To: t0.Add(5 * time.Minute), Switches: []string{`edge "1"`, "x|y"}, Rules: []string{`a\b`}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }
	want := &Result{From: t0, To: at(5), Step: time.Minute, Series: []Series{{
		Key: Key{Switch: `edge "1"`, Rule: `a\b`, Leg: "UP_DST", Phase: "p"}, Since: t0, Points: []Point{
			{Start: at(0), Packets: 12, Octets: 744, Covered: time.Minute},
			{Start: at(2), Covered: time.Minute},
			{Start: at(4), Octets: 1<<64 - 1, Covered: time.Minute},
		},
	}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	form := func(metric string) url.Values {
		return url.Values{
			"start": {"1159660860"}, "end": {"1159661100"}, "step": {"60"},
			"query": {`sum by (switch, rule, leg, phase) (increase(` + metric + `{switch=~"edge \"1\"|x\\|y",rule=~"a\\\\b"}[1m]))`},
		}
	}
	if d := cmp.Diff([]url.Values{form("op25b_rule_packets_total"), form("op25b_rule_octets_total")}, asked); d != "" {
		t.Error(d)
	}
}

func TestPrometheusErrors(t *testing.T) {
	ok := func(result string) string {
		return `{"status":"success","data":{"resultType":"matrix","result":[` + result + `]}}`
	}
	metric := `{"metric":{"switch":"edge-1"},"values":[%s]}`
	many := strings.Repeat(`[1159660860,"1"],`, MaxPoints+1)
	var series []string
	for i := range MaxSeries + 1 {
		series = append(series, fmt.Sprintf(`{"metric":{"rule":"%d"},"values":[]}`, i))
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		is     error
		want   string
	}{
		"a refusal":       {422, `{"status":"error","errorType":"execution","error":"query processing would load too many samples"}`, nil, "422 Unprocessable Entity: execution: query processing would load too many samples"},
		"another server":  {404, "no such \"page\"\n", nil, `404 Not Found: "no such \"page\"\n"`},
		"nothing":         {502, "", nil, "502 Bad Gateway"},
		"much text":       {500, strings.Repeat("x", 1000), nil, `500 Internal Server Error: "` + strings.Repeat("x", maxText) + ` ..."`},
		"no JSON":         {200, "<html>", nil, "invalid character '<' looking for beginning of value"},
		"no object":       {200, "[]", nil, "[ in the answer: want {"},
		"cut off":         {200, ok(fmt.Sprintf(metric, ""))[:60], nil, "the answer ends in the middle"},
		"no success":      {200, `{"status":"error"}`, nil, `status "error": want success`},
		"no pair":         {200, ok(fmt.Sprintf(metric, `[1159660860,1]`)), nil, `value "[1159660860,1]": want [SECONDS,"NUMBER"]`},
		"another time":    {200, ok(fmt.Sprintf(metric, `[1159660861,"1"]`)), nil, "a value at 1.159660861e+09: it is not the end of a step of 1m0s from 2006-10-01T00:00:00Z on"},
		"a time too late": {200, ok(fmt.Sprintf(metric, `[1159671660,"1"]`)), nil, "a value at 1.15967166e+09: it is not the end of a step of 1m0s from 2006-10-01T00:00:00Z on"},
		"many points":     {200, ok(fmt.Sprintf(metric, many[:len(many)-1])), ErrBound, "query too large: more than 1500 points a series, or 2000000 in all; choose a longer step, or name switches or rules"},
		"many series":     {200, ok(strings.Join(series, ",")), ErrBound, "query too large: more than 20000 series; name switches or rules"},
		"many bytes":      {200, strings.Repeat(" ", 2<<20), ErrBound, "query too large: the answer has more than 1048576 bytes; choose a longer step, or name switches or rules"},
	} {
		p, at := answers(t, PrometheusConfig{MaxBytes: 1 << 20}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body)) // the client may have gone
		})
		_, err := p.Range(context.Background(), Query{From: t0, To: t0.Add(time.Hour)})
		if want := "prometheus " + at + ": " + tc.want; !errors.Is(err, ErrPrometheus) || err.Error() != want || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s:\n%v, want\n%s", name, err, want)
		}
	}
}

func TestPrometheusDoesNotAnswer(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for name, tc := range map[string]struct{ begin, want string }{
		"at all":        {"", "no answer within 50ms: context deadline exceeded"},
		"to the end of": {`{"status":`, "the answer did not end within 50ms: context deadline exceeded"},
	} {
		p, at := answers(t, PrometheusConfig{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
			if tc.begin != "" {
				fmt.Fprint(w, tc.begin)
				w.(http.Flusher).Flush()
			}
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		})
		_, err := p.Range(context.Background(), Query{From: t0, To: t0.Add(time.Hour)})
		if want := "prometheus " + at + ": " + tc.want; !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%s", name, err, want)
		}
	}
	p, err := NewPrometheus(PrometheusConfig{URL: "http://noc:secret@127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Range(context.Background(), Query{From: t0, To: t0.Add(time.Hour)})
	if want := "prometheus http://noc:xxxxx@127.0.0.1:1/api/v1/query_range: dial tcp 127.0.0.1:1: connect: connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = p.Range(context.Background(), Query{From: t0, To: t0.AddDate(0, 0, 3), Step: time.Minute})
	if !errors.Is(err, ErrBound) {
		t.Errorf("%v, want ErrBound", err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"switch":"edge-1"},"values":[[1159660860,"12.4"]]}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := make(answer)
		sp := span{uint32(t0.Unix() / 60), uint32(t0.Unix()/60) + 60, 1}
		if a.read(strings.NewReader(string(b)), sp, false) != nil {
			return
		}
		for _, s := range a.result(sp).Series {
			if len(s.Points) > sp.points() {
				t.Errorf("%d points of %d", len(s.Points), sp.points())
			}
		}
	})
}

// TestPrometheusSum verifies the queries of a sum, and that a step without recorded time is a gap.
func TestPrometheusSum(t *testing.T) {
	for _, kind := range []Kind{Rules, Interfaces} {
		labels, metrics, name, by := `"rule":"a\\b","leg":"UP_DST"`, []string{"op25b_rule_packets_total", "op25b_rule_octets_total"}, "rule", "rule, leg"
		key := Key{Rule: `a\b`, Leg: "UP_DST"}
		if kind == Interfaces {
			labels, metrics, name, by = `"interface":"a\\b","direction":"in"`, []string{"op25b_interface_packets_total", "op25b_interface_octets_total"}, "interface", "interface, direction"
			key = Key{Interface: `a\b`, Direction: "in"}
		}
		var asked []string
		p, _ := answers(t, PrometheusConfig{}, func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			asked = append(asked, r.Form.Get("query"))
			// Steps 0 to 3 end one minute after the other from 1159660860 on. Nothing was recorded in steps 1 to 3.
			values, of := `[1159660860,"12"],[1159660920,"0"],[1159660980,"7"]`, labels
			switch len(asked) {
			case 2:
				values = `[1159660860,"720"],[1159660920,"0"],[1159660980,"420"]`
			case 3:
				values, of = `[1159660860,"6"]`, ""
			}
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{%s},"values":[%s]}]}}`, of, values)
		})
		got, err := p.Sum(context.Background(), SumQuery{Kind: kind, Switches: []string{"edge-1", "edge-2"}, Names: []string{`a\b`}, From: t0, To: t0.Add(4 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		want := &Sums{
			From: t0, To: t0.Add(4 * time.Minute), Step: time.Minute, Covered: []time.Duration{90 * time.Second, 0, 0, 0},
			Rows: []Row{{Key: key, Points: []SumPoint{
				{At: 0, Packets: 12, Octets: 720, Rated: true, PacketRate: 12. / 60, OctetRate: 720. / 60},
				{At: 2, Packets: 7, Octets: 420, GapPackets: 7, GapOctets: 420},
			}}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		var queries []string
		for _, m := range metrics {
			queries = append(queries, `sum by (`+by+`) (increase(`+m+`{switch=~"edge-1|edge-2",`+name+`=~"a\\\\b"}[1m]))`)
		}
		queries = append(queries, `sum(count_over_time((max by (switch) (op25b_telemetry_up{switch=~"edge-1|edge-2"}) == 1)[1m:15s]))`)
		if d := cmp.Diff(queries, asked); d != "" {
			t.Error(d)
		}
	}
	// An answer with too many evaluations does not overflow.
	p, _ := answers(t, PrometheusConfig{}, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1159660860,"1e300"]]}]}}`)
	})
	got, err := p.Sum(context.Background(), SumQuery{Switches: []string{"edge-1"}, From: t0, To: t0.Add(time.Minute)})
	if err != nil || got.Covered[0] != time.Minute {
		t.Errorf("%v, %v", got, err)
	}
}
