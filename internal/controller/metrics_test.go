package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/rollout/tickets"
	"op25b/internal/softswitch"
	"op25b/internal/subscriber/accounting"
	"op25b/internal/subscriber/register"
	"op25b/internal/telemetry"
	bmv1 "op25b/proto/bm/v1"
)

// described matches the description of a metric. Its submatches are the name and the labels.
var described = regexp.MustCompile(`^Desc\{fqName: "(\w+)", .*variableLabels: \{([\w,]*)\}\}$`)

// exported returns the labels of every metric of a running controller, by metric name. These are the registered metrics, and the metrics
// on the page /metrics for a switch with traffic. The series of a histogram have the names that Prometheus uses.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0", Dataplane: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	defer sw.Close()
	cfg := config(t)
	cfg.First, cfg.Telemetry = examples.SpinNet2006(), telemetry.Config{Interval: time.Second}
	cfg.History.File = filepath.Join(t.TempDir(), "history.db")
	inventory := bytes.Replace(cfg.First[0].Data, []byte("127.0.0.1:9559"), []byte(services.Addrs.P4Runtime), 1)
	cfg.First[0].Data = bytes.Replace(inventory, []byte("127.0.0.1:9339"), []byte(services.Addrs.GNMI), 1)
	cfg.Sessions = Sessions{Key: &register.Key{1}, Radius: "127.0.0.1:0", Clients: radiusClients(t)}
	cfg.Leases = Leases{Listening: api.Listening{Addr: "127.0.0.1:0"}}
	cfg.Tickets = Tickets{Listening: api.Listening{Addr: "127.0.0.1:0"}, Clients: &tickets.Clients{}}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	all := map[string][]string{}
	for deadline := time.Now().Add(30 * time.Second); all["op25b_rule_packets_total"] == nil; time.Sleep(100 * time.Millisecond) { // poll, because no event announces the values of a scrape
		if time.Now().After(deadline) {
			t.Fatalf("no rule counts a packet: %v", all)
		}
		send(t, services.Addrs.Dataplane)
		scrape(t, "http://"+c.Addr().String()+"/metrics", all)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		c.metrics.Describe(descriptions)
		close(descriptions)
	}()
	for d := range descriptions {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s has another form", d)
		}
		all[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
	}
	stop()
	if err := errors.Join(<-ended, c.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// radiusClients returns one access server that may send accounting requests.
func radiusClients(t *testing.T) *accounting.Clients {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"secret":       "0123456789abcdef",
		"clients.yaml": "apiVersion: op25b/v1\nkind: RadiusClients\nclients: [{name: bng-1, address: 127.0.0.1, secretFile: secret}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clients, warnings, err := accounting.OpenClients(filepath.Join(dir, "clients.yaml"))
	if err != nil || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	return clients
}

// series matches a series on a page. Its submatches are the name and the labels.
var series = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`)

// scrape adds the metrics of a page to all.
func scrape(t *testing.T, url string, all map[string][]string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
	for _, m := range series.FindAllStringSubmatch(string(page), -1) {
		all[m[1]] = []string{}
		for _, l := range matching.FindAllStringSubmatch(m[2], -1) {
			all[m[1]] = append(all[m[1]], l[1])
		}
	}
}

// send sends the first frame of a mail connection to a port of a switch. The switch drops the frame until it has its program.
func send(t *testing.T, dataplane string) {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{192, 0, 2, 11}, DstIP: net.IP{203, 0, 113, 25}}
	tcp := &layers.TCP{SrcPort: 1025, DstPort: 25, SYN: true, Window: 65535}
	frame := gopacket.NewSerializeBuffer()
	err := errors.Join(tcp.SetNetworkLayerForChecksum(ip), gopacket.SerializeLayers(frame, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, &layers.Ethernet{
		SrcMAC: net.HardwareAddr{2, 0, 0, 0, 1, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 2, 1}, EthernetType: layers.EthernetTypeIPv4,
	}, ip, tcp))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+dataplane, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := bmv1.NewDataplaneInterfaceClient(conn).PacketStream(t.Context())
	if err == nil {
		err = errors.Join(stream.Send(&bmv1.PacketStreamRequest{DeviceId: 1, Port: 1, Packet: frame.Bytes()}), stream.CloseSend())
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

var (
	comment   = regexp.MustCompile(`(?m)^\s*#.*$`)
	metricUse = regexp.MustCompile(`\b(op25b_\w+)(\{[^}]*\})?`)
	matching  = regexp.MustCompile(`(\w+) ?(?:=~|!~|!=|=)`)
	grouping  = regexp.MustCompile(`\b(?:by|on|ignoring|without|group_left) \(([^)]*)\)`)
	record    = regexp.MustCompile(`record: (\S+)`)
	recorded  = regexp.MustCompile(`\b[a-z_]+:op25b_\w+:\w+\b`)
)

// uses returns the errors in a text that uses metrics. It reports metrics and labels that are not exported, and recorded series without
// a recording rule.
func uses(text string, all map[string][]string, records []string) []string {
	var faults []string
	for _, name := range recorded.FindAllString(text, -1) {
		if !slices.Contains(records, name) {
			faults = append(faults, "no rule records "+name)
		}
	}
	known := []string{"instance", "job", "alertname", "alertstate", "severity"} // labels that Prometheus and the alerts add
	for _, labels := range all {
		known = append(known, labels...)
	}
	for _, m := range metricUse.FindAllStringSubmatch(recorded.ReplaceAllString(text, ""), -1) {
		labels, exists := all[m[1]]
		if !exists {
			faults = append(faults, "there is no metric "+m[1])
			continue
		}
		for _, l := range matching.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels, l[1]) && !slices.Contains(known[:2], l[1]) {
				faults = append(faults, fmt.Sprintf("%s has no label %s", m[1], l[1]))
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(text, -1) {
		for _, l := range strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			if !slices.Contains(known, l) {
				faults = append(faults, "no metric has the label "+l)
			}
		}
	}
	return faults
}

// TestMetricsExist verifies that a running controller exports every metric and label that the rules, the dashboard and the
// pages use, and that docs/telemetry.md lists every metric with its labels.
func TestMetricsExist(t *testing.T) {
	all := exported(t)
	if len(all) < 30 {
		t.Fatalf("only %d metrics found", len(all))
	}
	files, err := filepath.Glob("../../examples/prometheus/*.*")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files for Prometheus, %v", len(files), err)
	}
	rules, err := os.ReadFile("../../examples/prometheus/op25b.records.yml")
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, m := range record.FindAllStringSubmatch(string(rules), -1) {
		records = append(records, m[1])
	}
	for _, file := range append(files, "../../docs/telemetry.md", "../../docs/operator.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plain := comment.ReplaceAllString(strings.ReplaceAll(string(text), `\"`, `"`), "")
		plain = strings.ReplaceAll(plain, "op25b_store_*", "")
		for _, fault := range uses(plain, all, records) {
			t.Errorf("%s: %s", file, fault)
		}
	}
	page, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, labels := range all {
		if !strings.HasPrefix(name, "op25b_") || slices.ContainsFunc([]string{"_bucket", "_sum", "_count"}, func(s string) bool { return strings.HasSuffix(name, s) }) {
			continue
		}
		row := "| `" + name + "` |"
		if len(labels) > 0 {
			row = "| `" + name + "` | `" + strings.Join(labels, "`, `") + "` |"
		}
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/telemetry.md has no row that begins with %s", row)
		}
	}
}

// TestUnknownMetricsAreFound verifies that uses reports each kind of fault.
func TestUnknownMetricsAreFound(t *testing.T) {
	all := map[string][]string{"op25b_a_total": {"switch"}}
	for text, want := range map[string]int{
		`sum by (switch) (op25b_a_total{switch="x",job="y"})`: 0,
		`op25b_b_total`:              1,
		`op25b_a_total{rule="x"}`:    1,
		`sum by (rule) (x)`:          1,
		`switch:op25b_a:rate5m`:      1,
		`switch:op25b_a_total:sum`:   0,
		`op25b_a_total{switch!="x"}`: 0,
	} {
		if got := uses(text, all, []string{"switch:op25b_a_total:sum"}); len(got) != want {
			t.Errorf("%s: %q, want %d faults", text, got, want)
		}
	}
}
