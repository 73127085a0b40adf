package openconfig

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The defaults of Options.
const (
	// DefaultMinSample limits the cost of one subscriber. The whole state is read and sent at most once a second.
	DefaultMinSample = time.Second
	// DefaultCounterInterval is the sample interval of counters if the subscription does not set one. Six values a minute are the usual
	// resolution of an interface graph.
	DefaultCounterInterval = 10 * time.Second
	// DefaultChangeGap is the shortest time between two readings that are caused by changes. A burst of a hundred changes causes two
	// readings, and the first change is still reported at once.
	DefaultChangeGap = 50 * time.Millisecond
)

// Options configure a Server. The zero value is usable.
type Options struct {
	// MinSample is the smallest sample_interval and heartbeat_interval; a sample_interval of 0 means MinSample.
	MinSample time.Duration
	// CounterInterval is the sample interval of counters in TARGET_DEFINED and ON_CHANGE subscriptions.
	CounterInterval time.Duration
	// ChangeGap is the shortest time between two readings that Source.Watch causes.
	ChangeGap time.Duration
	// Now returns the time for the timestamps of notifications. Timers do not use it.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
}

// A Server serves gNMI from one Source, or from several Sources, one of which the prefix of a request selects. Register it with
// gpb.RegisterGNMIServer. It has no goroutines outside its calls.
type Server struct {
	gpb.UnimplementedGNMIServer
	only    Source  // nil for a server of several targets
	targets Targets // nil for a server of one Source
	opts    Options
	schema  *schema
	log     *zap.Logger

	tracked atomic.Int64 // the number of leaves in STREAM subscriptions

	mu   sync.Mutex // guards everything below
	hubs map[Source]*hub
}

var _ gpb.GNMIServer = (*Server)(nil)

// NewServer returns a server of one source, which ignores the target of a request. It returns ErrOptions if an interval is negative, or if
// source is nil or not comparable.
func NewServer(source Source, opts Options) (*Server, error) {
	if source == nil {
		return nil, fmt.Errorf("%w: no source", ErrOptions)
	}
	if !reflect.ValueOf(source).Comparable() {
		return nil, fmt.Errorf("%w: a source of type %T: it must be comparable, such as a pointer", ErrOptions, source)
	}
	return newServer(source, nil, opts)
}

// NewTargetServer returns a server of several targets. The prefix of every request must name a target, and the prefix of every notification
// has the same name. NewTargetServer returns ErrOptions if an interval is negative or targets is nil.
func NewTargetServer(targets Targets, opts Options) (*Server, error) {
	if targets == nil {
		return nil, fmt.Errorf("%w: no targets", ErrOptions)
	}
	return newServer(nil, targets, opts)
}

func newServer(only Source, targets Targets, opts Options) (*Server, error) {
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"MinSample", &opts.MinSample, DefaultMinSample},
		{"CounterInterval", &opts.CounterInterval, DefaultCounterInterval},
		{"ChangeGap", &opts.ChangeGap, DefaultChangeGap},
	} {
		if *d.value < 0 {
			return nil, fmt.Errorf("%w: %s is %v: it must be > 0, or 0 for %v", ErrOptions, d.name, *d.value, d.def)
		}
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	return &Server{only: only, targets: targets, opts: opts, schema: newSchema(), log: opts.Logger, hubs: make(map[Source]*hub)}, nil
}

// models returns the modules of the served leaves. Their versions are those of the published modules.
func models() []*gpb.ModelData {
	const by = "OpenConfig working group"
	return []*gpb.ModelData{
		{Name: modInterfaces, Organization: by, Version: "3.8.1"},
		{Name: modACL, Organization: by, Version: "1.3.3"},
		{Name: modP4RT, Organization: by, Version: "1.0.0"},
		{Name: modSystem, Organization: by, Version: "3.1.0"},
		{Name: modFilter, Organization: "op25b", Version: "2026-11-29"}, // this is the revision, because only OpenConfig's modules have a version
	}
}

// Capabilities returns the models, the encodings and the version of gNMI (gNMI specification 3.2).
func (s *Server) Capabilities(context.Context, *gpb.CapabilityRequest) (*gpb.CapabilityResponse, error) {
	options, _ := gpb.File_github_com_openconfig_gnmi_proto_gnmi_gnmi_proto.Options().(*descriptorpb.FileOptions)
	version, _ := proto.GetExtension(options, gpb.E_GnmiService).(string)
	return &gpb.CapabilityResponse{SupportedModels: models(), SupportedEncodings: encodings(), GNMIVersion: version}, nil
}

// Set returns UNIMPLEMENTED, because the switch is configured over P4Runtime only.
func (s *Server) Set(context.Context, *gpb.SetRequest) (*gpb.SetResponse, error) {
	return nil, status.Error(codes.Unimplemented, "Set is not supported: this target only reports state; its tables are written over P4Runtime")
}

// Get reads the paths of the request from one snapshot, and returns one notification for each path (gNMI specification 3.3). In the JSON
// encodings, a notification has one update for each selected node. In PROTO, it has one update for each leaf.
func (s *Server) Get(ctx context.Context, req *gpb.GetRequest) (*gpb.GetResponse, error) {
	if err := checkEncoding(req.GetEncoding()); err != nil {
		return nil, err
	}
	keep, err := keepLeaves(req)
	if err != nil {
		return nil, err
	}
	if len(req.GetPath()) == 0 && len(req.GetPrefix().GetElem()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "get: no path; for everything name the root, a path without elements")
	}
	paths := req.GetPath()
	if len(paths) == 0 {
		paths = []*gpb.Path{{}}
	}
	if len(paths) > MaxPaths {
		return nil, errPaths("get", len(paths))
	}
	patterns := make([]*pattern, len(paths))
	for i, path := range paths {
		if patterns[i], err = parsePath(s.schema, req.GetPrefix(), path); err != nil {
			return nil, err
		}
	}
	var parts Parts
	for _, p := range patterns {
		parts |= p.parts
	}
	source, err := s.source(ctx, req.GetPrefix())
	if err != nil {
		return nil, err
	}
	h, leave := s.enter(source)
	defer leave()
	r, err := h.read(ctx, parts, 0)
	if err != nil {
		return nil, err
	}
	res := &gpb.GetResponse{}
	leaves := 0
	for i, p := range patterns {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		found := p.find(r.shape.root)
		for _, f := range found {
			if leaves, err = count(leaves, f); err != nil {
				return nil, err
			}
		}
		if len(found) == 0 && !p.wild {
			return nil, status.Errorf(codes.NotFound, "path %q: there is no such node now", p.text)
		}
		n := &gpb.Notification{Timestamp: r.at.UnixNano(), Prefix: echo(req.GetPrefix(), paths[i])}
		for _, f := range found {
			n.Update = append(n.Update, getUpdates(f, r, req.GetEncoding(), keep)...)
		}
		res.Notification = append(res.Notification, n)
	}
	return res, nil
}

func getUpdates(n *node, r *reading, e gpb.Encoding, keep func(*schema) bool) []*gpb.Update {
	if e != gpb.Encoding_PROTO {
		v := treeValue(n, r, e, keep)
		if v == nil {
			return nil
		}
		return []*gpb.Update{{Path: &gpb.Path{Elem: n.path()}, Val: v}}
	}
	var updates []*gpb.Update
	n.eachLeaf(allLeaves, func(l *node) {
		if keep(l.schema) {
			updates = append(updates, &gpb.Update{Path: &gpb.Path{Elem: l.path()}, Val: leafValue(l, r, e)})
		}
	})
	return updates
}

// keepLeaves returns the filter for the request's data type and models (gNMI specification 3.3.1 and 2.6).
func keepLeaves(req *gpb.GetRequest) (func(*schema) bool, error) {
	wanted, err := modelsOf(req.GetUseModels())
	if err != nil {
		return nil, err
	}
	inModels := wanted.has
	switch req.GetType() {
	case gpb.GetRequest_ALL:
		return inModels, nil
	case gpb.GetRequest_STATE:
		return func(l *schema) bool { return !l.config && inModels(l) }, nil
	case gpb.GetRequest_CONFIG:
		return func(l *schema) bool { return l.config && inModels(l) }, nil
	case gpb.GetRequest_OPERATIONAL:
		return func(l *schema) bool { return !l.applied && !l.config && inModels(l) }, nil
	default:
		return nil, status.Errorf(codes.InvalidArgument, "get: type %v; valid: ALL, CONFIG, STATE, OPERATIONAL", req.GetType())
	}
}

// A modelSet is the set of models that a client requests. The zero value contains all models.
type modelSet struct {
	names map[string]bool
	text  string // the names, for comparing sets
}

func (m modelSet) has(leaf *schema) bool { return m.names == nil || m.names[leaf.module] }

func modelsOf(use []*gpb.ModelData) (modelSet, error) {
	if len(use) == 0 {
		return modelSet{}, nil
	}
	m := modelSet{names: map[string]bool{}}
	for _, u := range use {
		if !slices.ContainsFunc(models(), func(served *gpb.ModelData) bool { return isModel(u, served) }) {
			return modelSet{}, status.Errorf(codes.InvalidArgument, "use_models: model %s is not supported; supported: %s", modelText(u), modelTexts(models()))
		}
		m.names[u.GetName()] = true
	}
	m.text = strings.Join(slices.Sorted(maps.Keys(m.names)), " ")
	return m, nil
}

// isModel reports whether a requested model is the served one. A model is identified by name, organization and version (gNMI specification
// 2.6.1). If the client omits the organization or the version, any value matches.
func isModel(asked, served *gpb.ModelData) bool {
	return asked.GetName() == served.Name &&
		(asked.GetOrganization() == "" || asked.GetOrganization() == served.Organization) &&
		(asked.GetVersion() == "" || asked.GetVersion() == served.Version)
}

// mostText is the largest number of characters of a client's text that a message repeats.
const mostText = 64

// modelText formats a model as name, organization and version.
func modelText(m *gpb.ModelData) string {
	text := fmt.Sprintf("%.*q", mostText, m.GetName())
	if o := m.GetOrganization(); o != "" {
		text += fmt.Sprintf(" of %.*q", mostText, o)
	}
	if v := m.GetVersion(); v != "" {
		text += fmt.Sprintf(" version %.*q", mostText, v)
	}
	return text
}

// modelTexts lists the served models, with the organization after the last of its models.
func modelTexts(all []*gpb.ModelData) string {
	texts := make([]string, len(all))
	for i, m := range all {
		texts[i] = m.Name + " " + m.Version
		if i+1 == len(all) || all[i+1].Organization != m.Organization {
			texts[i] += " of " + m.Organization
		}
	}
	return strings.Join(texts, ", ")
}

// echo returns the prefix of a response, which has the request's target and origin. It returns nil if the request has neither. Paths in
// responses are complete.
func echo(prefix, path *gpb.Path) *gpb.Path {
	origin := prefix.GetOrigin() + path.GetOrigin() // checkForm ensures that at most one of them is set
	if prefix.GetTarget() == "" && origin == "" {
		return nil
	}
	return &gpb.Path{Target: prefix.GetTarget(), Origin: origin}
}
