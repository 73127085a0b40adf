package pipeline

import (
	"errors"
	"strings"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	"google.golang.org/protobuf/proto"

	"op25b/p4src"
)

// TestSchemaIsThePrograms verifies that this package's schema matches the P4 program.
func TestSchemaIsThePrograms(t *testing.T) {
	if err := Check(p4src.P4Info()); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsEveryDifference(t *testing.T) {
	table := func(name string, change func(*configv1.Table)) func(*configv1.P4Info) {
		return func(info *configv1.P4Info) {
			for _, x := range info.GetTables() {
				if x.GetPreamble().GetAlias() == name {
					change(x)
				}
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*configv1.P4Info)
		want   string
	}{
		"a table that is gone": {
			func(info *configv1.P4Info) { info.Tables = info.GetTables()[1:] }, "is missing",
		},
		"a table that is new": {
			func(info *configv1.P4Info) {
				info.Tables = append(info.Tables, &configv1.Table{Preamble: &configv1.Preamble{Id: 0x020000ff, Alias: "novel"}})
			}, `table "novel" (0x20000ff) is unknown here`,
		},
		"a key of another width": {
			table("line", func(x *configv1.Table) { x.MatchFields[1].Bitwidth = 16 }),
			`table "line": key 2 is "outer_vid", 16 bits, EXACT; want "outer_vid", 12 bits, EXACT`,
		},
		"a key of another kind": {
			table("remote_v4", func(x *configv1.Table) {
				x.MatchFields[0].Match = &configv1.MatchField_MatchType_{MatchType: configv1.MatchField_EXACT}
			}),
			`table "remote_v4": key 1 is "prefix", 32 bits, EXACT; want "prefix", 32 bits, LPM`,
		},
		"a key that is gone": {
			table("verdict", func(x *configv1.Table) { x.MatchFields = x.GetMatchFields()[1:] }), `table "verdict": has 5 key fields, want 6`,
		},
		"a table that does not take an action": {
			table("verdict", func(x *configv1.Table) { x.ActionRefs = x.GetActionRefs()[1:] }), `table "verdict": does not take action`,
		},
		"a parameter of another width": {
			func(info *configv1.P4Info) {
				for _, a := range info.GetActions() {
					if a.GetPreamble().GetAlias() == "drop" {
						a.Params[0].Bitwidth = 16
					}
				}
			}, `action "drop": parameter 1 is "rule" of 16 bits, want "rule" of 8`,
		},
		"another program": {
			func(info *configv1.P4Info) { info.PkgInfo.Name = "router.p4" },
			`program is "router.p4", version "1.2.0"; want "op25b.p4" of version 1.2.0 or a later 1.x`,
		},
		"an older minor":   {func(info *configv1.P4Info) { info.PkgInfo.Version = "1.0.3" }, `version "1.0.3"; want "op25b.p4" of version 1.2.0`},
		"an older version": {func(info *configv1.P4Info) { info.PkgInfo.Version = "0.1.0" }, `version "0.1.0"; want "op25b.p4" of version 1.2.0`},
		"a later one":      {func(info *configv1.P4Info) { info.PkgInfo.Version = "2.0.0" }, `version "2.0.0"; want "op25b.p4" of version 1.2.0`},
		"no version":       {func(info *configv1.P4Info) { info.PkgInfo.Version = "" }, `version ""; want`},
		"other counters":   {func(info *configv1.P4Info) { info.Counters[1].Size = 5 }, `counter "line_mail" (0x12000002) is missing, or does not count`},
		"no meter":         {func(info *configv1.P4Info) { info.DirectMeters = nil }, `table "connection_limit" has no meter of packets`},
		"another digest": {
			func(info *configv1.P4Info) { info.TypeInfo.Structs["mail_flow_t"].Members[0].Name = "port" }, `digest "mail_flow_t" has members [port leg`,
		},
		"another packet-in": {
			func(info *configv1.P4Info) {
				for _, h := range info.GetControllerPacketMetadata() {
					h.Metadata[0].Bitwidth = 9
				}
			}, `the header "packet_in" has the fields kind of 9 bits, timestamp of 48 bits, want kind of 8 bits, timestamp of 48 bits`,
		},
		"no packet-out": {
			func(info *configv1.P4Info) { info.ControllerPacketMetadata = nil }, `the header "packet_out" has the fields none, want kind of 8 bits`,
		},
		"no digest":  {func(info *configv1.P4Info) { info.Digests = nil }, `digest "mail_flow_t" (0x17b55650) is missing`},
		"no counter": {func(info *configv1.P4Info) { info.Counters = nil }, `counter "port_rule" (0x12000001) is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			info := proto.CloneOf(p4src.P4Info())
			test.change(info)
			err := Check(info)
			if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want ErrMismatch with %q", err, test.want)
			}
		})
	}
}

// TestCheckAllowsALaterMinor verifies that a program of a later minor version may have tables that this build
// does not use.
func TestCheckAllowsALaterMinor(t *testing.T) {
	info := proto.CloneOf(p4src.P4Info())
	info.PkgInfo.Version = "1.7.0"
	info.Tables = append(info.GetTables(), &configv1.Table{Preamble: &configv1.Preamble{Id: 0x020000ff, Alias: "novel"}})
	if err := Check(info); err != nil {
		t.Error(err)
	}
}
