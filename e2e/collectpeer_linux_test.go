package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"
)

// startGNMIC starts gnmic with the collector's subscriptions and with Prometheus output. It returns false if gnmic is not installed.
func startGNMIC(b *testing.B, targets []string, list []byte) (*collectProcess, bool) {
	b.Helper()
	binary, err := exec.LookPath("gnmic")
	if err != nil {
		b.Log("gnmic is not measured, because it is not installed: go install github.com/openconfig/gnmic@latest")
		return nil, false
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0") // reserve a port, because gnmic does not report the port of :0
	if err != nil {
		b.Fatal(err)
	}
	addr := lis.Addr().String()
	lis.Close()
	config, err := gnmicConfig(targets, list, addr)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "gnmic.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(binary, "--config", path, "subscribe", "--quiet")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill() })
	return &collectProcess{cmd: cmd, pid: cmd.Process.Pid, ready: loadReady{HTTP: addr}}, true
}

// gnmicConfig returns a configuration with one Subscribe call per target, as the collector makes it.
func gnmicConfig(targets []string, encoded []byte, addr string) ([]byte, error) {
	var list gpb.SubscriptionList
	if err := proto.Unmarshal(encoded, &list); err != nil {
		return nil, err
	}
	var subscriptions []map[string]any
	for _, s := range list.GetSubscription() {
		path := ""
		for _, e := range s.GetPath().GetElem() {
			path += "/" + e.GetName()
		}
		sub := map[string]any{"paths": []string{path}, "stream-mode": strings.ReplaceAll(strings.ToLower(s.GetMode().String()), "_", "-")}
		if s.GetMode() == gpb.SubscriptionMode_SAMPLE {
			sub["sample-interval"] = time.Duration(s.GetSampleInterval()).String()
		}
		if s.GetSuppressRedundant() {
			sub["suppress-redundant"] = true
		}
		subscriptions = append(subscriptions, sub)
	}
	addresses := map[string]any{}
	for i, t := range targets {
		addresses[fmt.Sprintf("edge-%d", i+1)] = map[string]any{"address": t}
	}
	return json.Marshal(map[string]any{ // JSON is valid YAML
		"insecure": true, "encoding": "proto",
		"targets":       addresses,
		"subscriptions": map[string]any{"counters": map[string]any{"mode": "stream", "stream-subscriptions": subscriptions}},
		"outputs": map[string]any{"metrics": map[string]any{
			"type": "prometheus", "listen": addr, "path": "/metrics", "expiration": "60s", "timeout": "60s",
		}},
	})
}
