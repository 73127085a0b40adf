package view

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

var update = flag.Bool("update", false, "write testdata anew")

func at(text string) *timestamppb.Timestamp {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return timestamppb.New(t)
}

func options() Options {
	return Options{Now: func() time.Time { return at("2026-11-22T09:00:00Z").AsTime() }, Location: time.FixedZone("", 9*60*60)}
}

var (
	converged = &op25bv1.SwitchStatus{
		Switch: "edge-1", Address: "192.0.2.1:9559", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Reason: op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED, Since: at("2026-11-22T08:57:30Z"),
		Owner: "noc-1", Epoch: 41, Revision: 7, Wanted: 7, InForce: "all-destinations", Converged: true, Seen: at("2026-11-22T08:59:56Z"),
	}
	failed = &op25bv1.SwitchStatus{
		Switch: "edge-2", Address: "192.0.2.2:9559", State: op25bv1.SwitchState_SWITCH_STATE_FAILED, Reason: op25bv1.SwitchReason_SWITCH_REASON_NO_ROOM, Since: at("2026-11-20T05:00:00Z"),
		Detail: `table "subscriber_v4": no room: 65,536 entries, 65,801 wanted; remove 265 exemptions or move lines to another switch`,
		Owner:  "noc-2", Epoch: 42, Revision: 6, Wanted: 7, InForce: "before; mobile-carriers: adsl, isdn, bflets, hikari-premium", Failed: true,
	}
	abandoned = &op25bv1.SwitchStatus{
		Switch: "edge-4", State: op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, Reason: op25bv1.SwitchReason_SWITCH_REASON_OWNER_GONE,
		Owner: "noc-3", Revision: 7, Wanted: 7, InForce: "before", Since: at("2026-11-22T08:51:00Z"), Seen: at("2026-11-22T08:51:00Z"),
		Last: &op25bv1.SwitchCondition{State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED},
	}
	underway = &op25bv1.SwitchStatus{
		Switch: "edge-5", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGING, Reason: op25bv1.SwitchReason_SWITCH_REASON_INTENT, Owner: "noc-1", Revision: 6, Wanted: 7,
		Progress: &op25bv1.SwitchProgress{Step: "make", Done: 41, Total: 123},
	}
	behind = &op25bv1.SwitchStatus{
		Switch: "edge-6", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Owner: "noc-1", Revision: 6, Wanted: 7,
	}
	waiting = &op25bv1.SwitchStatus{
		Switch: "edge-3", State: op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, Reason: op25bv1.SwitchReason_SWITCH_REASON_NEVER_REPORTED, Wanted: 7,
	}
)

var (
	clocks = &op25bv1.ListClocksResponse{Bound: durationpb.New(5 * time.Second), Clocks: []*op25bv1.ControllerClock{
		{
			Controller: "noc-1", Self: true, Ahead: durationpb.New(0), Hold: op25bv1.ClockHold_CLOCK_HOLD_JUMP, Since: at("2026-11-22T08:00:00Z"),
			Time: at("2026-11-25T09:00:00Z"), Detail: "the clock was set: it is 72h0m0s ahead of where it should be after the time that has passed",
		},
		{Controller: "noc-2", Ahead: durationpb.New(-72 * time.Hour), Hold: op25bv1.ClockHold_CLOCK_HOLD_NONE, Time: at("2026-11-22T09:00:00Z")},
		{Controller: "noc-3", Hold: op25bv1.ClockHold_CLOCK_HOLD_STARTING},
	}}
	clocked = &op25bv1.ListSwitchesResponse{Revision: 7, Switches: []*op25bv1.SwitchStatus{converged}, Clocks: clocks.Clocks}
)

// leasesOnSwitches has a switch on which all leases are in force, one on which some wait, one whose leases are not known, and one without leases.
var leasesOnSwitches = func() *op25bv1.ListSwitchesResponse {
	r := &op25bv1.ListSwitchesResponse{Revision: 7}
	for i, l := range []*op25bv1.SwitchLeases{
		{InForce: 1412},
		{InForce: 3, Waiting: 2, Detail: `table "subscriber_v4": no room: the switch refused an entry of a lease`},
		{Detail: "the leases have not been read yet; the switch keeps its last entries of leases"},
		nil,
	} {
		s := proto.CloneOf(converged)
		s.Switch, s.Leases = fmt.Sprint("edge-", i+1), l
		r.Switches = append(r.Switches, s)
	}
	return r
}()

var dates = &op25bv1.HistoryResponse{
	Revisions: []*op25bv1.Revision{{Number: 1, Author: "alice", Reason: "first policy", Time: at("2026-11-01T00:00:00Z")}},
	Entries: []*op25bv1.HistoryEntry{
		{Entry: &op25bv1.HistoryEntry_Date{Date: &op25bv1.DateEvent{
			Kind: op25bv1.DateEvent_EXEMPTIONS, Time: at("2026-11-21T15:00:00Z"), Recorded: at("2026-11-21T15:00:01Z"), Revision: 1, ExemptionsEnded: 3,
			Exemptions: []*op25bv1.EndedExemption{{Line: "business-fixed", Owner: "noc@isp.example"}, {Prefix: "192.0.2.0/28"}, {Line: "sim-vending", Owner: "m2m"}},
		}}},
		{Entry: &op25bv1.HistoryEntry_Date{Date: &op25bv1.DateEvent{
			Kind: op25bv1.DateEvent_PHASE, Time: at("2026-11-14T15:00:00Z"), Recorded: at("2026-11-16T00:00:00Z"), RecordedBy: "noc-2", Revision: 1, Phase: "drain",
		}}},
		{Entry: &op25bv1.HistoryEntry_Date{Date: &op25bv1.DateEvent{
			Kind: op25bv1.DateEvent_PHASE, Time: at("2026-11-07T15:00:00Z"), Recorded: at("2026-11-07T15:00:00Z"), Revision: 1, Phase: "mobile-carriers",
			Turns: []*op25bv1.DateTurn{{From: "before", To: "mobile-carriers", Groups: []string{"adsl"}, ByDefault: true, EveryLine: true, Switches: []string{"edge-1", "edge-2"}}},
		}}},
		{Entry: &op25bv1.HistoryEntry_Revision{Revision: &op25bv1.Revision{Number: 1, Author: "alice", Reason: "first policy", Time: at("2026-11-01T00:00:00Z")}}},
	},
}

func difference() *op25bv1.Difference {
	return &op25bv1.Difference{
		Added: 1, Removed: 30, Changed: 1, Foreign: 1, Truncated: true,
		Entries: []*op25bv1.EntryChange{
			{Kind: "removed", Table: "remote_v4", Old: "remote_v4 prefix=203.0.113.0/26 => set_remote_class class_id=2"},
			{Kind: "added", Table: "bridge", New: "bridge dst_addr=02:09:09:09:09:09 => forward_to_access port=7"},
			{Kind: "changed", Table: "verdict", Old: "verdict epoch=1 leg=1&7 service=1&255 priority=1 => drop rule=5", New: "verdict epoch=1 leg=1&7 service=1&255 priority=1 => permit rule=5"},
		},
	}
}

// A shown is an answer and the function that shows it.
type shown struct {
	name    string
	message proto.Message
	show    func(View) error
}

func answers() []shown {
	stored := &op25bv1.Progress{Time: at("2026-11-22T09:00:00Z"), Event: &op25bv1.Progress_Stored{Stored: &op25bv1.Revision{Number: 7, Author: "noc-web", Reason: "OP25B-17"}}}
	progress := func(seconds string, s *op25bv1.SwitchStatus) *op25bv1.Progress {
		return &op25bv1.Progress{Time: at("2026-11-22T09:00:0" + seconds + "Z"), Event: &op25bv1.Progress_Switch{Switch: s}}
	}
	before := proto.CloneOf(converged)
	before.Revision, before.Wanted = 6, 6
	done := &op25bv1.Progress{Time: at("2026-11-22T09:00:04Z"), Event: &op25bv1.Progress_Done{Done: &op25bv1.Done{
		Revision: 7, Converged: 1, Failed: []*op25bv1.SwitchStatus{failed}, SupersededBy: 8,
	}}}
	list := &op25bv1.ListSwitchesResponse{Revision: 7, Switches: []*op25bv1.SwitchStatus{converged, failed, waiting, abandoned, underway, behind}}
	none := &op25bv1.ListSwitchesResponse{}
	drift := &op25bv1.DriftResponse{Drifted: true, Plan: &op25bv1.Plan{
		Switches: []*op25bv1.SwitchPlan{
			{Switch: "edge-1", Standing: "read", AppliedRevision: 7},
			{Switch: "edge-2", Standing: "read", AppliedRevision: 7, Drift: difference()},
			{Switch: "edge-3", Standing: "unreachable", Reason: "192.0.2.3:9559: connection refused"},
			{Switch: "edge-4", Standing: "read"},
			{Switch: "edge-5", Standing: "empty", AppliedRevision: 7},
		},
		Totals: &op25bv1.Totals{Switches: 5, SwitchesDrifted: 1, SwitchesUnread: 1, Drifted: 32},
	}}
	clean := &op25bv1.DriftResponse{Plan: &op25bv1.Plan{
		Switches: []*op25bv1.SwitchPlan{{Switch: "edge-1", Standing: "read", AppliedRevision: 7}}, Totals: &op25bv1.Totals{Switches: 1},
	}}
	changed := proto.CloneOf(failed)
	changed.State, changed.Failed, changed.Converged, changed.Revision = op25bv1.SwitchState_SWITCH_STATE_CONVERGED, false, true, 7
	changed.Reason, changed.Detail = op25bv1.SwitchReason_SWITCH_REASON_INTENT, ""
	phases := &op25bv1.ListPhasesResponse{
		Revision: 7, Policy: "spinnet-2006", Time: at("2026-11-22T09:00:00Z"), Next: at("2026-12-01T00:00:00+09:00"),
		Phases: []*op25bv1.Phase{
			{Name: "before", Title: "Nothing is blocked yet; what would be is counted", Effective: "2006-05-18", Rules: 2},
			{Name: "mobile-carriers", Title: "携帯電話会社のメールサーバーへの直接の送信を止める", Effective: "2006-06-01", Rules: 2, InForce: []*op25bv1.InForce{
				{Switch: "edge-1", Groups: []string{"adsl", "isdn"}, Confirmed: true}, {Switch: "edge-2", Groups: []string{"adsl", "isdn"}}, {Switch: "edge-3", Groups: []string{"mobile"}, ByDefault: true},
			}},
			{Name: "all-destinations", Title: "Mail that does not pass our relays is stopped", Effective: "2006-10-01", Rules: 1, Everywhere: true},
		},
	}
	phase := &op25bv1.ShowPhaseResponse{
		Revision: 7,
		Phase: &op25bv1.Phase{Name: "mobile-carriers", Title: "Mail straight to the mobile carriers is stopped", Effective: "2006-06-01", Begins: at("2006-06-01T00:00:00+09:00"), SynOnly: true, StaysOpen: &op25bv1.StaysOpen{
			Servers: []*op25bv1.OpenServers{{Name: "own-relay"}, {Name: "own-mailboxes", Limited: true, Services: []string{"submissions", "pop3s", "imaps"}}},
			Ports:   []uint32{465, 587}, ExemptLines: 1234, ExemptPrefixes: 1,
		}},
		Rules: []*op25bv1.PhaseRule{
			{Name: "smtp-carrier", Groups: []string{"adsl"}, Service: "smtp", Ports: []uint32{25}, Remote: "mobile-carrier", Legs: []string{"up_dst", "down_src"}, Action: "drop"},
			{Name: "smtp-all", Service: "smtp", Ports: []uint32{25, 2525}, Remote: "any", Legs: []string{"up_dst", "down_src"}, Action: "monitor"},
		},
	}
	turn := &op25bv1.PhaseTurn{Time: at("2026-12-01T00:00:00+09:00"), Phase: "all-destinations", Changes: []*op25bv1.PhaseChange{
		{From: "mobile-carriers", To: "all-destinations", Groups: []string{"adsl", "isdn"}, ByDefault: true, EveryLine: true, Switches: []string{"edge-1", "edge-2"}},
	}}
	phases.NextTurn = turn
	preview := &op25bv1.PreviewResponse{
		Revision: 7, Phase: "mobile-carriers", Switches: 12, Changes: []*op25bv1.PhaseChange{
			{From: "before", To: "mobile-carriers", Groups: []string{"adsl", "isdn"}, ByDefault: true, EveryLine: true, Switches: []string{
				"edge-1", "edge-2", "edge-3", "edge-4", "edge-5", "edge-6", "edge-7", "edge-8", "edge-9",
			}},
			{From: "before", To: "mobile-carriers", Groups: []string{"adsl"}, ByDefault: true, Switches: []string{"edge-10"}},
			{From: "mobile-carriers", To: "mobile-carriers", Groups: []string{"isdn"}, Switches: []string{"edge-10"}},
			{To: "mobile-carriers", ByDefault: true, Switches: []string{"edge-11"}},
			{From: "mobile-carriers", To: "mobile-carriers", Groups: []string{"adsl", "isdn"}, ByDefault: true, EveryLine: true, Switches: []string{"edge-12"}},
		},
		NextTurn: turn,
		Held:     []*op25bv1.HeldSwitch{{Switch: "edge-10", Hold: &op25bv1.SwitchHold{Who: "alice", Reason: "new line card, \x1b[2JNOC-885", Since: at("2026-11-22T13:44:33Z")}}},
	}
	undo := &op25bv1.PreviewResponse{
		Broken: "the documents cannot be used: revision 7: policy.yaml:1:7: not valid YAML", Revision: 7, Switches: 12, Changes: []*op25bv1.PhaseChange{
			{From: "mobile-carriers", To: "before", Groups: []string{"adsl"}, Switches: []string{"edge-1"}},
			{From: "mobile-carriers", To: "all-destinations", Groups: []string{"isdn"}, Switches: []string{"edge-1"}},
		},
		Undoes: &op25bv1.Activation{Phase: "mobile-carriers", Revision: 5, Author: "noc-web", Time: at("2026-11-22T09:00:00Z"), Reason: "first ring, \x1b[2JOP25B-21"},
	}
	same := &op25bv1.PreviewResponse{Phase: "before", Switches: 1, Changes: []*op25bv1.PhaseChange{{From: "before", To: "before", Groups: []string{"\x1b[2Jadsl"}, Switches: []string{"edge-1"}}}}
	revisions := &op25bv1.HistoryResponse{Revisions: []*op25bv1.Revision{
		{Number: 7, Author: "noc-web", Reason: "OP25B-17: the second phase comes in force for everyone, as announced on the web page and by letter", Time: at("2026-11-22T08:57:00Z")},
		{Number: 6, Author: "alice", Reason: "first policy", Time: at("2026-11-01T00:00:00Z")},
	}}
	diff := &op25bv1.DiffResponse{Documents: []*op25bv1.DocumentDiff{
		{Path: "files/policy.yaml", Unified: "--- 6/policy.yaml\n+++ 7/policy.yaml\n@@ -1,2 +1,2 @@\n name: spinnet-2006\n-utcOffset: \"+00:00\"\n+utcOffset: \"+09:00\"\n"},
		{Path: "activations.json", Added: true, Unified: "--- 6\n+++ 7\n@@ -0,0 +1 @@\n+[]\n", Truncated: true},
		{Path: "files/old.yaml", Removed: true},
	}}
	records := &op25bv1.ListRecordsResponse{
		Records: []*op25bv1.AuditRecord{
			{Seq: 8, Time: at("2026-11-22T08:57:00Z"), Who: "noc-web", Role: "operator", Verb: "apply", Object: "policy spinnet-2006 on 3 switches", Reason: "OP25B-17"},
			{Seq: 9, Time: at("2026-11-22T08:58:00Z"), Verb: "refused activate", Detail: "unknown phase \"\x1b[2Jgone\""},
		},
		Head: &op25bv1.AuditHead{Seq: 9, Hash: strings.Repeat("ab", 32)},
	}
	intact := &op25bv1.VerifyResponse{Intact: true, Head: records.Head}
	behind := &op25bv1.VerifyResponse{Intact: true, Head: records.Head, Checkpoint: &op25bv1.AuditCheckpoint{
		Seq: 2, Hash: strings.Repeat("1d", 32), Archive: strings.Repeat("5e", 32), Time: records.Records[0].Time,
	}}
	backup := &op25bv1.BackupSummary{Revision: 42, AuditSeq: 311, Keys: 1204, Bytes: 3_250_586, Made: at("2026-11-22T04:30:00Z")}
	archived := &op25bv1.PruneResponse{Record: &op25bv1.AuditRecord{Seq: 7, Object: "records 1 to 6"}}
	broken := &op25bv1.VerifyResponse{BrokenAt: 4, Broken: "its hash is not that of what it says"}
	check := &op25bv1.CheckResponse{
		Outcome: "blocked", Best: "delivered", Line: "adsl-home", Advice: &op25bv1.CheckAdvice{Exemption: "dynamic", OwnServers: []*op25bv1.OwnServers{
			{Name: "own-relay", Title: "Our own mail relays", Prefixes: []string{"198.51.100.0/28"}, Ports: []uint32{25, 465, 587}},
		}}, LineGroup: &op25bv1.Named{Name: "adsl", Title: "FLET'S ADSL"}, Switch: "edge-1",
		To: "mx.carrier.example", Port: 25, At: at("2026-11-22T09:00:00Z"), Phase: &op25bv1.PhaseSince{Name: "all-destinations"}, Revision: 7,
		Notes: []string{"2001:db8::1 was skipped: line \"adsl-home\" has no address of that family, which is why there is nothing to say of it"},
		Results: []*op25bv1.CheckResult{
			{
				From: "192.0.2.11", To: "203.0.113.10", Outcome: "blocked", Leg: "up_dst", Service: "smtp",
				Rule:   &op25bv1.CheckRule{Id: 6, Name: "smtp-all", Action: "drop", Text: "smtp to any server is dropped"},
				Remote: &op25bv1.Named{Name: "mobile-carrier", Title: "The mobile carriers' mail servers"},
				Since:  &op25bv1.PhaseSince{Name: "mobile-carriers", Since: at("2006-06-01T00:00:00+09:00")},
				Trace:  &op25bv1.CheckTrace{Text: "  trace of the SYN, from the line\n    state start\n    condition meta.packet.family == FAMILY_IPV4 && packet.syn && decision.verdict != VERDICT_NONE && decision.verdict != VERDICT_PERMIT holds\n"},
			},
			{
				From: "192.0.2.13", To: "203.0.113.11", Outcome: "delivered", Leg: "up_dst", Service: "smtp",
				Rule:      &op25bv1.CheckRule{Id: 3, Name: "exempt", Action: "permit", Text: "mail of an exempt address passes"},
				Exemption: &op25bv1.CheckExemption{Line: "business-fixed", Expires: at("2027-04-01T00:00:00+09:00"), Owner: "noc@isp.example", Reason: "a server of its own", Ticket: "OP25B-17"},
				Next:      &op25bv1.CheckNext{Outcome: "blocked", Rule: "smtp-all", Phase: &op25bv1.PhaseSince{Name: "later", Since: at("2027-06-01T00:00:00+09:00")}},
			},
			{From: "192.0.2.13", To: "203.0.113.12", Outcome: "delivered"},
		},
	}
	mail := &op25bv1.CheckMailResponse{
		Domain: "carrier.example", Kind: "provider", Provider: &op25bv1.MailProvider{Name: "carrier", Title: &op25bv1.Text{En: "A Carrier", Ja: "ある事業者"}}, Under: "example",
		Status: "affected", MailProgram: "affected", Published: "https://carrier.example/mail", Looked: "2026-11-01",
		Settings: []*op25bv1.MailSetting{
			{Host: "smtp.carrier.example", Port: 465, Encryption: "SSL/TLS", Authentication: "SMTP AUTH", Status: "unaffected"},
			{Port: 587, Encryption: "STARTTLS", Authentication: "SMTP AUTH", Status: "undetermined", Note: &op25bv1.Text{En: "the password is an app password, or the program signs in with OAuth", Ja: "パスワードにはアプリパスワードを使用するか、OAuthでログインします"}},
		},
		Steps: []*op25bv1.Text{{
			En: "Set the server for outgoing mail to smtp.carrier.example, port 465 with SSL/TLS, and switch on authentication with your mail address.",
			Ja: "送信メールサーバーをsmtp.carrier.exampleに、ポート番号を465に、暗号化をSSL/TLSに設定し、メールアドレスによる認証を有効にしてください。",
		}},
	}
	plan := &op25bv1.Plan{
		Base: 6, Policy: "spinnet-2006", Time: at("2026-11-21T15:00:00Z"), UtcOffset: "+09:00", Changes: true,
		Documents: []*op25bv1.DocumentDiff{{Path: "files/policy.yaml", Unified: "--- current/policy.yaml\n+++ proposed/policy.yaml\n@@ -1,2 +1,3 @@\n name: spinnet-2006\n-a: 1\n+a: 2\n+b: 3\n"}},
		Switches: []*op25bv1.SwitchPlan{
			{
				Switch: "edge-1", Address: "192.0.2.1:9559", Standing: "read", AppliedRevision: 6, Drift: difference(), Change: difference(), Updates: 40,
				Steps: []*op25bv1.PlanStep{{Why: "make", Updates: 40}}, Tables: []*op25bv1.TableFill{{Table: "verdict", Entries: 40_000, Size: 65_536}},
				Meaning: []*op25bv1.Sentence{
					{Kind: "phase", Severity: "neutral", Text: "phase in force: before -> mobile-carriers"},
					{Kind: "verdict", Severity: "stops", Text: "every line: TCP/25 to mobile-carrier (1 prefix) monitor -> drop"},
					{Kind: "line", Severity: "opens", Text: "line adsl-home moved from isdn to adsl"},
				},
			},
			{Switch: "edge-2", Address: "192.0.2.2:9559", Standing: "unreachable", Reason: "192.0.2.2:9559: connection refused", Error: "table \"verdict\": no room\nand more"},
		},
		Totals: &op25bv1.Totals{Switches: 2, SwitchesChanged: 1, SwitchesDrifted: 1, SwitchesUnread: 1, SwitchesRefused: 1, Added: 1, Changed: 1, Removed: 30, Updates: 40, Drifted: 32, Stops: 1, Opens: 1},
		Notes: []string{
			"line business-fixed is exempt: " + strings.Repeat("携帯電話会社のメールサーバーへの直接の送信を止める。", 4),
		},
	}
	counters, since := countersOf(), sinceOf()
	return []shown{
		{"plan", plan, func(v View) error { return v.Plan(plan, true) }},
		{"progress-stored", stored, func(v View) error { return v.Progress(stored) }},
		{"progress", done, func(v View) error {
			for _, p := range []*op25bv1.Progress{stored, progress("0", before), progress("1", converged), progress("2", converged), progress("3", failed)} {
				if err := v.Progress(p); err != nil {
					return err
				}
			}
			return v.Progress(done)
		}},
		{"status", list, func(v View) error { return v.Switches(list) }},
		{"status-clocks", clocked, func(v View) error { return v.Switches(clocked) }},
		{"clocks", clocks, func(v View) error { return v.Clocks(clocks) }},
		{"status-leases", leasesOnSwitches, func(v View) error { return v.Switches(leasesOnSwitches) }},
		{"status-none", none, func(v View) error { return v.Switches(none) }},
		{"watch", nil, func(v View) error {
			for _, r := range []*op25bv1.WatchSwitchesResponse{
				{Revision: 7, Switches: list.Switches}, {Revision: 7, Switches: []*op25bv1.SwitchStatus{changed, converged}}, {Revision: 7, Gone: []string{"edge-3"}},
			} {
				if err := v.Changes(r); err != nil {
					return err
				}
			}
			return nil
		}},
		{"counters", counters, func(v View) error { return v.Counters(counters) }},
		{"counters-since", since, func(v View) error { return v.Counters(since) }},
		{"counters-none", &op25bv1.ListCountersResponse{}, func(v View) error { return v.Counters(&op25bv1.ListCountersResponse{}) }},
		{"counters-watch", nil, func(v View) error {
			for _, r := range counted() {
				if err := v.CounterChanges(r); err != nil {
					return err
				}
			}
			return nil
		}},
		{"drift", drift, func(v View) error { return v.Drift(drift, false) }},
		{"drift-none", clean, func(v View) error { return v.Drift(clean, false) }},
		{"phases", phases, func(v View) error { return v.Phases(phases) }},
		{"phase", phase, func(v View) error { return v.Phase(phase) }},
		{"preview", preview, func(v View) error { return v.Preview(preview) }},
		{"preview-undo", undo, func(v View) error { return v.Preview(undo) }},
		{"preview-same", same, func(v View) error { return v.Preview(same) }},
		{"history", revisions, func(v View) error { return v.History(revisions, 2) }},
		{"history-all", revisions, func(v View) error { return v.History(revisions, 50) }},
		{"history-dates", dates, func(v View) error { return v.History(dates, 50) }},
		{"diff", diff, func(v View) error { return v.Diff(diff) }},
		{"diff-none", &op25bv1.DiffResponse{}, func(v View) error { return v.Diff(&op25bv1.DiffResponse{}) }},
		{"records", records, func(v View) error { return v.Records(records, Listing{}) }},
		{"verified", intact, func(v View) error { return v.Verified(intact, 0) }},
		{"broken", broken, func(v View) error { return v.Verified(broken, 0) }},
		{"verified-behind", behind, func(v View) error { return v.Verified(behind, 0) }},
		{"verified-archives", behind, func(v View) error { return v.Verified(behind, 2) }},
		{"archived", archived, func(v View) error { return v.Archived(archived, "audit-2006.jsonl, SHA-256 "+strings.Repeat("5e", 32)) }},
		{"backup", backup, func(v View) error { return v.Backup(backup, "saved in op25b.backup") }},
		{"forecast-leases", forecastLeases, func(v View) error { return v.Forecast(forecastLeases, nil) }},
		{"forecast", forecast, func(v View) error { return v.Forecast(forecast, nil) }},
		{"outlook", forecast, func(v View) error { return v.Outlook(forecast) }},
		{"offenders", offenders, func(v View) error { return v.Offenders(offenders) }},
		{"offenders-none", unwatched, func(v View) error { return v.Offenders(unwatched) }},
		{"sessions", sessions, func(v View) error { return v.Sessions(sessions) }},
		{"sessions-none", noSessions, func(v View) error { return v.Sessions(noSessions) }},
		{"rollout-soaking", soakingRollout, func(v View) error { return v.Rollout(soakingRollout, at("2006-06-15T00:12:30Z"), "+09:00") }},
		{"rollout-held", heldRollout, func(v View) error { return v.Rollout(heldRollout, at("2006-06-15T00:12:30Z"), "+09:00") }},
		{"rollout-documents", documentsRollout, func(v View) error { return v.Rollout(documentsRollout, at("2006-06-15T00:12:30Z"), "+09:00") }},
		{"rollout-back", backRollout, func(v View) error { return v.Rollout(backRollout, at("2006-06-15T00:12:30Z"), "+09:00") }},
		{"rollouts", rollouts, func(v View) error { return v.Rollouts(rollouts) }},
		{"rollouts-none", noRollouts, func(v View) error { return v.Rollouts(noRollouts) }},
		{"leases", leases, func(v View) error { return v.Leases(leases) }},
		{"leases-some", someLeases, func(v View) error { return v.Leases(someLeases) }},
		{"leases-address", addresses, func(v View) error { return v.Leases(addresses) }},
		{"lease-address-renewed", toAddress, func(v View) error { return v.LeaseGranted(toAddress) }},
		{"lease-address-revoked", ofRevoked, func(v View) error { return v.LeaseRevoked("", ofRevoked) }},
		{"leases-none", noLeases, func(v View) error { return v.Leases(noLeases) }},
		{"lease-granted", granted, func(v View) error { return v.LeaseGranted(granted) }},
		{"lease-renewed", renewed, func(v View) error { return v.LeaseGranted(renewed) }},
		{"lease-unchanged", keptLease, func(v View) error { return v.LeaseGranted(keptLease) }},
		{"lease-revoked", revoked, func(v View) error { return v.LeaseRevoked("adsl-home", revoked) }},
		{"lease-revoked-none", notRevoked, func(v View) error { return v.LeaseRevoked("adsl-home", notRevoked) }},
		{"found", found, func(v View) error { return v.Found(found, false) }},
		{"found-fixed", foundFixed, func(v View) error { return v.Found(foundFixed, false) }},
		{"found-none", foundNone, func(v View) error { return v.Found(foundNone, false) }},
		{"resolved", resolvedLines, func(v View) error { return v.Resolved(resolvedLines) }},
		{"forgotten", forgotten, func(v View) error { return v.Forgotten(forgotten) }},
		{"check", check, func(v View) error { return v.Check(check) }},
		{"mail", mail, func(v View) error { return v.Mail(mail) }},
	}
}

// The table view of every answer matches its file in testdata.
func TestTable(t *testing.T) {
	for _, a := range answers() {
		t.Run(a.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := a.show(Table(&out, options())); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", a.name+".txt")
			if *update {
				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", out.String(), want)
			}
			for line := range strings.Lines(out.String()) {
				if n := prose.Columns(strings.TrimRight(line, "\n")); n > Width {
					t.Errorf("%d columns: %s", n, line)
				}
				if strings.ContainsRune(line, '\x1b') {
					t.Errorf("steers the terminal: %q", line)
				}
			}

			var coloured bytes.Buffer
			o := options()
			o.Colour = true
			if err := a.show(Table(&coloured, o)); err != nil {
				t.Fatal(err)
			}
			bare := coloured.String()
			for _, code := range []string{red, green, yellow, bold, "0"} {
				bare = strings.ReplaceAll(bare, "\x1b["+code+"m", "")
			}
			if bare != out.String() {
				t.Errorf("colours say what the text does not:\n%s", coloured.String())
			}
		})
	}
}

// hostile is a text that a document or another caller may use as a name, a title or a reason. On a terminal, it would clear the screen,
// reverse the direction of text, hide text, and begin a new line.
const hostile = "\x1b[2J\u202e\u2066\u200b\u00ad\u2028\u3164\r\nSTOPS"

// poison appends hostile to every string in a message, except in the fields spared. The returned function undoes that.
func poison(m protoreflect.Message, spared ...protoreflect.Name) (undo func()) {
	var undone []func()
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case slices.Contains(spared, fd.Name()) || fd.IsMap():
		case fd.Kind() == protoreflect.StringKind && fd.IsList():
			list := v.List()
			for i := range list.Len() {
				was := list.Get(i)
				list.Set(i, protoreflect.ValueOfString(was.String()+hostile))
				undone = append(undone, func() { list.Set(i, was) })
			}
		case fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString(v.String()+hostile))
			undone = append(undone, func() { m.Set(fd, v) })
		case fd.Kind() == protoreflect.MessageKind && fd.IsList():
			for i := range v.List().Len() {
				undone = append(undone, poison(v.List().Get(i).Message(), spared...))
			}
		case fd.Kind() == protoreflect.MessageKind:
			undone = append(undone, poison(v.Message(), spared...))
		}
		return true
	})
	return func() {
		for _, f := range slices.Backward(undone) {
			f()
		}
	}
}

// Strings in an answer cannot move or hide text on a terminal, and cannot begin a new line.
func TestNothingSteers(t *testing.T) {
	codes := []protoreflect.Name{"kind", "severity", "standing", "outcome", "status", "utc_offset"}
	for _, spared := range [][]protoreflect.Name{nil, codes} {
		for _, a := range answers() {
			if a.message == nil {
				continue
			}
			undo := poison(a.message.ProtoReflect(), spared...)
			var out bytes.Buffer
			err := a.show(Table(&out, options()))
			undo()
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range out.String() {
				if r != '\n' && prose.Escape(string(r)) != string(r) {
					t.Errorf("%s: %U is shown behind %q", a.name, r, out.String()[max(0, i-40):i])
					break
				}
			}
			if a.name != "plan" && a.name != "check" && a.name != "diff" && strings.Contains(out.String(), "\nSTOPS") { // these answers contain texts with several lines
				t.Errorf("%s: a string begins a line:\n%s", a.name, out.String())
			}
		}
	}
}

// The JSON view writes each message on one line, with the same bytes every time.
func TestJSON(t *testing.T) {
	for _, a := range answers() {
		if a.name == "watch" || a.name == "counters-watch" || a.name == "progress" { // these answers consist of several messages
			continue
		}
		var out bytes.Buffer
		if err := a.show(JSON(&out)); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != 1 {
			t.Errorf("%s: %d lines", a.name, n)
		}
		got := a.message.ProtoReflect().New().Interface()
		if err := protojson.Unmarshal(out.Bytes(), got); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		if !proto.Equal(got, a.message) {
			t.Errorf("%s: got %v, want %v", a.name, got, a.message)
		}
	}
	var out bytes.Buffer
	if err := JSON(&out).Verified(&op25bv1.VerifyResponse{Intact: true}, 0); err != nil {
		t.Fatal(err)
	}
	if want := `{"intact":true,"brokenAt":"0","broken":""}` + "\n"; out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

// A view whose writer fails returns the error.
func TestWriteError(t *testing.T) {
	for _, a := range answers() {
		for name, v := range map[string]View{"table": Table(closed{}, options()), "json": JSON(closed{})} {
			if err := a.show(v); err == nil {
				t.Errorf("%s as %s: no error from a writer that is closed", a.name, name)
			}
		}
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 4*time.Minute: "3h04m", 49 * time.Hour: "2d01h", 2400 * time.Hour: "100d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// TestPhasesNameAll verifies that a list of phases names every line group and switch, however many there are and however long their names are, and
// that no line is longer than the width.
func TestPhasesNameAll(t *testing.T) {
	long := strings.Repeat("phase-with-a-long-name-", 2) + "end"
	p := &op25bv1.Phase{Name: long, Effective: "2006-06-01", Title: "A phase"}
	var names []string
	for i := range 40 {
		name := fmt.Sprintf("edge-with-a-long-name-%02d", i)
		names = append(names, name)
		p.InForce = append(p.InForce, &op25bv1.InForce{Switch: name, Groups: []string{"adsl", "isdn"}})
	}
	var b bytes.Buffer
	if err := Table(&b, Options{Now: time.Now, Location: time.UTC}).Phases(&op25bv1.ListPhasesResponse{Revision: 7, Policy: "p", Phases: []*op25bv1.Phase{p}}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{"phase " + long, "in force for adsl, isdn on " + strings.Join(names, ", "), "Not confirmed on " + strings.Join(names, ", ")} {
		if !strings.Contains(text, want) {
			t.Errorf("the list lacks %q:\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if n := len(strings.TrimRight(line, "\n")); n > Width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestScheduled verifies how a scheduled activation is shown in each state.
func TestScheduled(t *testing.T) {
	at := timestamppb.New(time.Date(2006, 5, 20, 17, 0, 0, 0, time.UTC))
	for _, x := range []struct {
		a    *op25bv1.ScheduledActivation
		want string
	}{
		{&op25bv1.ScheduledActivation{State: op25bv1.ScheduledState_SCHEDULED_STATE_PENDING}, "phase watch everywhere at 2006-05-21 02:00:00 +0900, by ann: night"},
		{&op25bv1.ScheduledActivation{Groups: []string{"adsl", "isdn"}}, "phase watch adsl, isdn lines at 2006-05-21 02:00:00 +0900, by ann: night"},
		{&op25bv1.ScheduledActivation{Switches: []string{"edge-1"}, State: op25bv1.ScheduledState_SCHEDULED_STATE_DONE, Revision: 7}, "phase watch all lines on edge-1 at 2006-05-21 02:00:00 +0900, by ann: night; done, revision 7"},
		{&op25bv1.ScheduledActivation{State: op25bv1.ScheduledState_SCHEDULED_STATE_SKIPPED, Note: "rollout 7 is soaking"}, "phase watch everywhere at 2006-05-21 02:00:00 +0900, by ann: night; SKIPPED: rollout 7 is soaking"},
		{&op25bv1.ScheduledActivation{State: op25bv1.ScheduledState_SCHEDULED_STATE_CANCELLED, Note: "put off"}, "phase watch everywhere at 2006-05-21 02:00:00 +0900, by ann: night; cancelled: put off"},
	} {
		x.a.Id, x.a.Phase, x.a.At, x.a.Author, x.a.Reason = 3, "watch", at, "ann", "night"
		var b bytes.Buffer
		if err := Table(&b, Options{Now: time.Now, Location: time.UTC}).Scheduled(x.a, "+09:00"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(b.String()), " "); got != "scheduled 3: "+x.want {
			t.Errorf("%s, want scheduled 3: %s", got, x.want)
		}
	}
}
