package main

import (
	"context"
	"crypto/tls"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/softswitch"
	"op25b/internal/tlsfiles"
	"op25b/p4src"
)

// embedded VAR [DEVICE | CERT KEY CA] starts a switch without a program and sets VAR to its P4Runtime address. The device id is 1 by default.
// With the three files, the switch requires TLS and a client certificate. The switch runs until the script ends.
func embedded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || !slices.Contains([]int{1, 2, 4}, len(args)) {
		ts.Fatalf("usage: embedded VAR [DEVICE | CERT KEY CA]")
	}
	device := uint64(1)
	if len(args) == 2 {
		var err error
		device, err = strconv.ParseUint(args[1], 10, 64)
		ts.Check(err)
	}
	var secure *tls.Config
	if len(args) == 4 {
		var err error
		secure, err = tlsfiles.Server(tlsfiles.Files{Cert: ts.MkAbs(args[1]), Key: ts.MkAbs(args[2]), CA: ts.MkAbs(args[3])}, true)
		ts.Check(err)
	}
	sw, err := softswitch.New(softswitch.Options{DeviceID: device})
	ts.Check(err)
	services, err := sw.ListenTLS(softswitch.Addrs{P4Runtime: "127.0.0.1:0"}, secure)
	ts.Check(err)
	ts.Defer(func() {
		_ = sw.Close()
		services.Close()
	})
	ts.Setenv(args[0], services.Addrs.P4Runtime)
}

// record FILE ADDR records a session that pushes the pipeline, adds two groups, and adds one of the groups a second time.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: record FILE ADDR")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	recorder, err := p4rt.NewRecorder(p4rt.RecorderConfig{Path: ts.MkAbs(args[0])})
	ts.Check(err)
	session, err := p4rt.Dial(ctx, p4rt.Config{Addr: args[1], DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}, Recorder: recorder})
	ts.Check(err)
	_, err = session.EnsurePipeline(ctx, p4src.P4Info(), p4src.DeviceConfig())
	ts.Check(err)
	group := func(id uint32) *p4v1.Update {
		return &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{
			PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{
				MulticastGroupEntry: &p4v1.MulticastGroupEntry{MulticastGroupId: id},
			}},
		}}}
	}
	_ = session.Write(ctx, []*p4v1.Update{group(1), group(2)}) // the recording shows whether the switch refuses the updates
	_ = session.Write(ctx, []*p4v1.Update{group(1)})
	ts.Check(session.Close())
	ts.Check(recorder.Close())
}
