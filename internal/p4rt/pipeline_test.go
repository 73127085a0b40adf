package p4rt

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func program(name string) *configv1.P4Info {
	return &configv1.P4Info{PkgInfo: &configv1.PkgInfo{Name: name, Arch: "v1model"}}
}

// storing makes the fake keep each pushed pipeline, as both bmv2 and the embedded switch do.
func storing(fake *fakeSwitch) (pushes *[]*p4v1.SetForwardingPipelineConfigRequest) {
	pushes = new([]*p4v1.SetForwardingPipelineConfigRequest)
	fake.set = func(_ context.Context, r *p4v1.SetForwardingPipelineConfigRequest) error {
		*pushes = append(*pushes, r)
		return nil
	}
	fake.get = func(r *p4v1.GetForwardingPipelineConfigRequest) (*p4v1.ForwardingPipelineConfig, error) {
		if len(*pushes) == 0 {
			return nil, grpcstatus.Error(codes.FailedPrecondition, "No forwarding pipeline config set for this device")
		}
		kept := (*pushes)[len(*pushes)-1].GetConfig()
		out := &p4v1.ForwardingPipelineConfig{Cookie: kept.GetCookie()}
		if r.GetResponseType() == p4v1.GetForwardingPipelineConfigRequest_P4INFO_AND_COOKIE {
			out.P4Info = kept.GetP4Info()
		}
		return out, nil
	}
	return pushes
}

// I5 RestartIsReconcile. If the switch already has the pipeline, it is not pushed, because a push deletes all
// entries.
func TestEnsurePipeline(t *testing.T) {
	fake := &fakeSwitch{}
	pushes := storing(fake)
	s := dialed(t, fake.serve(t))
	ctx := t.Context()

	if _, ok, err := s.PipelineCookie(ctx); ok || err != nil {
		t.Fatalf("before the first push: there is one %v, error %v", ok, err)
	}
	if _, err := s.GetP4Info(ctx); !errors.Is(err, ErrNoPipeline) {
		t.Errorf("P4Info before the first push: %v, want ErrNoPipeline", err)
	}
	for _, step := range []struct {
		name, json string
		pushed     bool
	}{{"a", "{}", true}, {"a", "{}", false}, {"a", "{ }", true}, {"b", "{ }", true}, {"b", "{ }", false}} {
		before := len(*pushes)
		pushed, err := s.EnsurePipeline(ctx, program(step.name), []byte(step.json))
		if err != nil || pushed != step.pushed || len(*pushes)-before != map[bool]int{true: 1}[pushed] {
			t.Errorf("%+v: pushed %v with %d requests, error %v", step, pushed, len(*pushes)-before, err)
		}
	}
	last := (*pushes)[len(*pushes)-1]
	if last.GetAction() != p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT || last.GetDeviceId() != testDevice ||
		last.GetElectionId().GetLow() != testElection.Low || string(last.GetConfig().GetP4DeviceConfig()) != "{ }" {
		t.Errorf("pushed %v", last)
	}
	have, ok, err := s.PipelineCookie(ctx)
	if want := Cookie(program("b"), []byte("{ }")); have != want || !ok || err != nil {
		t.Errorf("cookie %x, %v, error %v, want %x", have, ok, err, want)
	}
	if info, err := s.GetP4Info(ctx); err != nil || !proto.Equal(info, program("b")) {
		t.Errorf("P4Info %v, error %v", info, err)
	}
}

func TestEnsurePipelineBackup(t *testing.T) {
	fake := &fakeSwitch{arbitrate: answers(codes.AlreadyExists, ElectionID{Low: 43})}
	pushes := storing(fake)
	s := dialed(t, fake.serve(t))
	if _, err := s.EnsurePipeline(t.Context(), program("a"), nil); !errors.Is(err, ErrNotPrimary) || len(*pushes) != 0 {
		t.Errorf("error %v after %d pushes, want ErrNotPrimary after none", err, len(*pushes))
	}
	*pushes = append(*pushes, &p4v1.SetForwardingPipelineConfigRequest{Config: &p4v1.ForwardingPipelineConfig{
		Cookie: &p4v1.ForwardingPipelineConfig_Cookie{Cookie: Cookie(program("a"), nil)},
	}})
	if pushed, err := s.EnsurePipeline(t.Context(), program("a"), nil); pushed || err != nil {
		t.Errorf("the pipeline is there: pushed %v, error %v", pushed, err)
	}
}

func TestPushErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer error
		want   error
		text   string
	}{
		{"bad pipeline", grpcstatus.Error(codes.InvalidArgument, "table 3 is in no JSON"), ErrPipelineRefused, "table 3 is in no JSON"},
		{"fixed function", grpcstatus.Error(codes.Unimplemented, ""), ErrPipelineRefused, "Unimplemented"},
		{"not primary", grpcstatus.Error(codes.PermissionDenied, "Not primary"), ErrNotPrimary, "Not primary"},
		{"going away", grpcstatus.Error(codes.Unavailable, "bye"), ErrUnreachable, "bye"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := &fakeSwitch{set: func(context.Context, *p4v1.SetForwardingPipelineConfigRequest) error { return tt.answer }}
			s := dialed(t, fake.serve(t))
			err := s.Push(t.Context(), program("a"), nil, 1)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v: want %v with %q", err, tt.want, tt.text)
			}
			if s.Primary() != (tt.want != ErrNotPrimary) {
				t.Errorf("primary %v after %v", s.Primary(), err)
			}
		})
	}
	fake := &fakeSwitch{set: func(ctx context.Context, _ *p4v1.SetForwardingPipelineConfigRequest) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	cfg := fake.serve(t)
	cfg.PushTimeout = 20 * time.Millisecond
	if err := dialed(t, cfg).Push(t.Context(), program("a"), nil, 1); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a switch that hangs: %v, want ErrUnreachable", err)
	}
}

func TestEnsurePipelineNotUTF8(t *testing.T) {
	s := dialed(t, (&fakeSwitch{}).serve(t))
	if _, err := s.EnsurePipeline(t.Context(), program("\xff"), nil); !errors.Is(err, ErrPipelineRefused) {
		t.Errorf("error %v, want ErrPipelineRefused", err)
	}
}

// A switch that does not keep cookies can be used, but a warning informs the operator about the consequence.
func TestEnsurePipelineCookieNotKept(t *testing.T) {
	fake := &fakeSwitch{get: func(*p4v1.GetForwardingPipelineConfigRequest) (*p4v1.ForwardingPipelineConfig, error) {
		return &p4v1.ForwardingPipelineConfig{}, nil
	}}
	cfg := fake.serve(t)
	core, logs := observer.New(zap.WarnLevel)
	cfg.Logger = zap.New(core)
	s := dialed(t, cfg)
	if pushed, err := s.EnsurePipeline(t.Context(), program("a"), nil); !pushed || err != nil {
		t.Errorf("pushed %v, error %v", pushed, err)
	}
	if logs.FilterMessageSnippet("does not keep the pipeline's cookie").Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	if _, err := s.GetP4Info(t.Context()); !errors.Is(err, ErrNoPipeline) {
		t.Errorf("a pipeline without P4Info: %v, want ErrNoPipeline", err)
	}
}

// Different pipelines have different cookies, even if only the boundary between P4Info and device configuration
// differs. Equal P4Infos have the same cookie.
func TestCookie(t *testing.T) {
	encoded, err := proto.Marshal(program("a"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]string{}
	for name, c := range map[string]uint64{
		"nothing": Cookie(nil, nil), "a": Cookie(program("a"), nil), "b": Cookie(program("b"), nil),
		"a with JSON": Cookie(program("a"), []byte("{}")), "a as JSON": Cookie(nil, encoded),
	} {
		if other, twice := seen[c]; twice || c == 0 {
			t.Errorf("%s has the cookie %x, as has %q", name, c, other)
		}
		seen[c] = name
	}
	again := new(configv1.P4Info)
	if err := proto.Unmarshal(encoded, again); err != nil {
		t.Fatal(err)
	}
	if Cookie(again, nil) != Cookie(program("a"), nil) {
		t.Error("an equal P4Info has another cookie")
	}
}
