package api

import (
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"

	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// Check answers for the current revision, for an earlier revision, and for documents in the
// request.
func TestDesk(t *testing.T) {
	data, err := os.ReadFile("../../examples/providers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	directory, err := mailbox.Load(strict.File{Name: "providers.yaml", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	w = newWorld(t, func(d *Deps) {
		d.Check = desk.New(desk.Options{Now: func() time.Time { return w.now }, Directory: directory})
	})
	c := op25bv1.NewCheckServiceClient(w.dial())
	ctx := within(t)
	bot := &op25bv1.CheckFrom{Line: "adsl-bot"}
	if _, err := c.Check(ctx, &op25bv1.CheckRequest{From: bot, To: "203.0.113.25", Port: 25}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	files := spinnet(t)
	w.put(files)
	ask := func(from *op25bv1.CheckFrom) *op25bv1.CheckResponse {
		t.Helper()
		answer, err := c.Check(ctx, &op25bv1.CheckRequest{From: from, To: "203.0.113.25", Port: 25, Trace: true})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	now := ask(bot)
	if r := now.Results; now.Revision != 1 || now.Outcome != "monitored" || !now.Passes || now.Phase.Name != "before" || now.Switch != "edge-1" || now.LineGroup.Name != "adsl" ||
		len(r) != 1 || r[0].From != "192.0.2.12" || r[0].Rule.Name != "smtp-carrier" || r[0].Rule.Action != "monitor" || r[0].Next.Outcome != "blocked" ||
		len(r[0].Trace.Frame) < 54 || !strings.Contains(r[0].Trace.Text, "remote_v4") || !strings.Contains(now.Text, "MONITORED  192.0.2.12 -> 203.0.113.25") {
		t.Errorf("%v", now)
	}
	then := ask(&op25bv1.CheckFrom{From: "192.0.2.12", At: timestamppb.New(time.Date(2006, 12, 1, 0, 0, 0, 0, time.UTC))})
	if then.Outcome != "blocked" || then.Passes || then.Line != "adsl-bot" {
		t.Errorf("%v", then)
	}
	planned := ask(&op25bv1.CheckFrom{Line: "adsl-bot", Files: replaced(t, files, "effective: 2006-06-01", "effective: 2006-05-19")})
	if planned.Outcome != "blocked" || planned.Revision != 0 {
		t.Errorf("%v", planned)
	}
	stream, err := op25bv1.NewPhaseServiceClient(w.dial()).Activate(ctx, &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 1, Reason: "now", NoWait: true})
	told(t, stream, err)
	if active := ask(bot); active.Outcome != "blocked" || active.Revision != 2 || active.Phase.Name != "all-destinations" {
		t.Errorf("an activated phase: %v", active)
	}
	if old := ask(&op25bv1.CheckFrom{Line: "adsl-bot", Revision: 1}); old.Outcome != "monitored" || old.Revision != 1 {
		t.Errorf("an earlier revision: %v", old)
	}

	mail, err := c.CheckMail(ctx, &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, Address: "somebody@unknown.example"})
	if err != nil || mail.Domain != "unknown.example" || mail.Kind != mailbox.AnswerUnknown || mail.Revision != 2 || len(mail.Steps) == 0 || mail.Steps[0].Ja == "" || mail.Text == "" {
		t.Errorf("%v, %v", mail, err)
	}

	for _, q := range []struct {
		request *op25bv1.CheckRequest
		code    codes.Code
		want    string
	}{
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "nobody"}, To: "203.0.113.25", Port: 25}, codes.NotFound, "unknown line"},
		{&op25bv1.CheckRequest{From: bot, To: "203.0.113.25", Port: 65536}, codes.InvalidArgument, "port 65536: TCP ports are 1 to 65535"},
		{&op25bv1.CheckRequest{From: bot, To: "203.0.113.25"}, codes.InvalidArgument, "invalid question"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{From: "300.1.1.1"}, To: "203.0.113.25", Port: 25}, codes.InvalidArgument, `from "300.1.1.1": must be an IPv4 or IPv6 address, such as 192.0.2.11`},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Revision: 1, Files: files}, To: "203.0.113.25", Port: 25}, codes.InvalidArgument, "from.files: the request has files and a revision; give only one of them"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Revision: 9}, To: "203.0.113.25", Port: 25}, codes.NotFound, ""},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Phase: "x"}, To: "203.0.113.25", Port: 25}, codes.InvalidArgument, "unknown phase"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Revision: 1, At: timestamppb.New(time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC))}, To: "203.0.113.25", Port: 25}, codes.FailedPrecondition, "no phase in force"},
	} {
		if _, err := c.Check(ctx, q.request); status.Code(err) != q.code || !strings.Contains(status.Convert(err).Message(), q.want) {
			t.Errorf("%v: %v, want %v with %q", q.request, err, q.code, q.want)
		}
	}
	if _, err := c.CheckMail(ctx, &op25bv1.CheckMailRequest{From: bot, Address: "somebody@@secret"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("%v", err)
	}
	for _, line := range w.logs.All() {
		for key, value := range line.ContextMap() {
			if text, ok := value.(string); ok && (strings.Contains(text, "secret") || strings.Contains(text, "unknown.example")) {
				t.Errorf("%s: %s: an address is in the log: %s", line.Message, key, text)
			}
		}
	}
}
