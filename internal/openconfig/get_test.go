package openconfig

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestCapabilities(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{})
	res, err := c.Capabilities(t.Context(), &gpb.CapabilityRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if res.GetGNMIVersion() != "0.10.0" {
		t.Errorf("gNMI version %q, the proto file of v0.14.1 says 0.10.0", res.GetGNMIVersion())
	}
	var names []string
	for _, m := range res.GetSupportedModels() {
		names = append(names, m.GetName())
	}
	if want := []string{"openconfig-interfaces", "openconfig-acl", "openconfig-p4rt", "openconfig-system", "op25b-filter"}; !reflect.DeepEqual(names, want) {
		t.Errorf("models %v, want %v", names, want)
	}
	want := []gpb.Encoding{gpb.Encoding_JSON_IETF, gpb.Encoding_JSON, gpb.Encoding_PROTO}
	if !reflect.DeepEqual(res.GetSupportedEncodings(), want) {
		t.Errorf("encodings %v, want %v", res.GetSupportedEncodings(), want)
	}
}

func TestSetIsRefused(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{})
	_, err := c.Set(t.Context(), &gpb.SetRequest{Delete: []*gpb.Path{at("interfaces")}})
	wantStatus(t, err, codes.Unimplemented, "Set is not supported: this target only reports state; its tables are written over P4Runtime")
}

// wantACL is the ACL of access-1 in the encoding of RFC 7951, below the entry of the interface
// list.
const wantACL = `{"openconfig-acl:acl-entry":[
	{"sequence-id":3,"state":{"sequence-id":3,"matched-packets":"8","matched-octets":"480"}},
	{"sequence-id":7,"state":{"sequence-id":7,"matched-packets":"1","matched-octets":"60"}}]}`

func TestGetJSON(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{Now: fixedStamp})
	const (
		ietfState = `"state":{"name":"access-1","ifindex":12,"oper-status":"UP","openconfig-p4rt:id":1,"counters":{
			"in-octets":"640","in-pkts":"10","in-discards":"2","in-errors":"1",
			"out-octets":"18446744073709551615","out-pkts":"20","out-discards":"4","out-errors":"3"}}`
		network = `"state":{"name":"network","oper-status":"DOWN","openconfig-p4rt:id":2}`
	)
	for _, tc := range []struct {
		name string
		req  *gpb.GetRequest
		want map[string]string // by path
	}{
		{"a list entry", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=access-1")}}, map[string]string{
			"/interfaces/interface[name=access-1]": `{"openconfig-interfaces:name":"access-1","openconfig-interfaces:` + ietfState[1:] + `}`,
		}},
		{"the list, in its container", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces")}}, map[string]string{
			"/interfaces": `{"openconfig-interfaces:interface":[{"name":"access-1",` + ietfState + `},{"name":"network",` + network + `}]}`,
		}},
		{"a list without keys is all its entries", &gpb.GetRequest{
			Prefix: at("interfaces"), Path: []*gpb.Path{at("interface", "state", "oper-status")},
		}, map[string]string{
			"/interfaces/interface[name=access-1]/state/oper-status": `"UP"`,
			"/interfaces/interface[name=network]/state/oper-status":  `"DOWN"`,
		}},
		{"any element, any key", &gpb.GetRequest{Path: []*gpb.Path{at("*", "interface", "name=*", "*", "id")}}, map[string]string{
			"/interfaces/interface[name=access-1]/state/id": `1`,
			"/interfaces/interface[name=network]/state/id":  `2`,
		}},
		{"any depth", &gpb.GetRequest{Path: []*gpb.Path{at("acl", "interfaces", "...", "matched-packets")}}, map[string]string{
			aclEntry("access-1", "3") + "/state/matched-packets": `"8"`,
			aclEntry("access-1", "7") + "/state/matched-packets": `"1"`,
		}},
		{"any depth selects a subtree once", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "...")}}, map[string]string{
			"/interfaces/interface[name=network]": `{"openconfig-interfaces:name":"network","openconfig-interfaces:` + network[1:] + `}`,
		}},
		{"module names and an identity with its module", &gpb.GetRequest{Path: []*gpb.Path{at(
			"openconfig-acl:acl", "interfaces", "interface", "id=access-1", "ingress-acl-sets",
			"ingress-acl-set", "set-name=op25b", "type=openconfig-acl:ACL_MIXED", "acl-entries",
		)}}, map[string]string{
			strings.TrimSuffix(aclEntry("access-1", "3"), "/acl-entry[sequence-id=3]"): wantACL,
		}},
		{"a key leaf by name", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "name")}}, map[string]string{
			"/interfaces/interface[name=network]/name": `"network"`,
		}},
		{"operational leaves only", &gpb.GetRequest{
			Type: gpb.GetRequest_OPERATIONAL, Path: []*gpb.Path{at("interfaces", "interface", "name=network")},
		}, map[string]string{
			"/interfaces/interface[name=network]": `{"openconfig-interfaces:name":"network","openconfig-interfaces:state":{"oper-status":"DOWN"}}`,
		}},
		{"one model only", &gpb.GetRequest{
			UseModels: []*gpb.ModelData{{Name: "openconfig-p4rt", Organization: "OpenConfig working group", Version: "1.0.0"}}, Path: []*gpb.Path{at("interfaces", "interface", "name=network")},
		}, map[string]string{
			"/interfaces/interface[name=network]": `{"openconfig-interfaces:name":"network","openconfig-interfaces:state":{"openconfig-p4rt:id":2}}`,
		}},
		{"no configuration is served of what has no name", &gpb.GetRequest{Type: gpb.GetRequest_CONFIG, Path: []*gpb.Path{at()}}, map[string]string{}},
		{"a wildcard may select nothing", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "state", "counters", "*")}}, map[string]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.req.Encoding = gpb.Encoding_JSON_IETF
			res, err := c.Get(t.Context(), tc.req)
			if err != nil {
				t.Fatal(err)
			}
			if len(res.GetNotification()) != 1 || res.GetNotification()[0].GetTimestamp() != stamp.UnixNano() {
				t.Fatalf("want one notification stamped %d: %v", stamp.UnixNano(), res)
			}
			got := make(map[string]string)
			for _, u := range res.GetNotification()[0].GetUpdate() {
				got[pathText(u.GetPath().GetElem())] = string(u.GetVal().GetJsonIetfVal())
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got %v\nwant %v", got, tc.want)
			}
			for path, want := range tc.want {
				sameJSON(t, path, got[path], want)
			}
		})
	}
}

func TestGetRoot(t *testing.T) {
	c := serve(t, newFake(&State{ACLSet: "s", Interfaces: []Interface{{Name: `a]\b"`, Port: 0}}}), Options{})
	const state = `{"name":"a]\\b\"","state":{"name":"a]\\b\"","oper-status":"UNKNOWN"}}`
	for enc, want := range map[gpb.Encoding]string{
		gpb.Encoding_JSON_IETF: `{"openconfig-interfaces:interfaces":{"interface":[` + state + `]},
			"openconfig-acl:acl":{"state":{"counter-capability":"openconfig-acl:INTERFACE_AGGREGATE"},
			"acl-sets":{"acl-set":[{"name":"s","type":"openconfig-acl:ACL_MIXED","state":{"name":"s","type":"openconfig-acl:ACL_MIXED"}}]},
			"interfaces":{"interface":[{"id":"a]\\b\"","state":{"id":"a]\\b\""},"ingress-acl-sets":{"ingress-acl-set":[
			{"set-name":"s","type":"openconfig-acl:ACL_MIXED","state":{"set-name":"s","type":"openconfig-acl:ACL_MIXED"}}]}}]}}}`,
		gpb.Encoding_JSON: `{"interfaces":{"interface":[` + state + `]},
			"acl":{"state":{"counter-capability":"INTERFACE_AGGREGATE"},
			"acl-sets":{"acl-set":[{"name":"s","type":"ACL_MIXED","state":{"name":"s","type":"ACL_MIXED"}}]},
			"interfaces":{"interface":[{"id":"a]\\b\"","state":{"id":"a]\\b\""},"ingress-acl-sets":{"ingress-acl-set":[
			{"set-name":"s","type":"ACL_MIXED","state":{"set-name":"s","type":"ACL_MIXED"}}]}}]}}}`,
	} {
		res, err := c.Get(t.Context(), &gpb.GetRequest{Path: []*gpb.Path{at()}, Encoding: enc})
		if err != nil {
			t.Fatal(err)
		}
		v := res.GetNotification()[0].GetUpdate()[0].GetVal()
		sameJSON(t, enc.String(), string(v.GetJsonIetfVal())+string(v.GetJsonVal()), want)
	}
}

func TestGetProto(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{Now: fixedStamp})
	res, err := c.Get(t.Context(), &gpb.GetRequest{
		Prefix:   &gpb.Path{Target: "edge-7", Origin: "openconfig", Elem: at("interfaces", "interface", "name=access-1").Elem},
		Path:     []*gpb.Path{at("state", "counters", "out-octets"), at("state", "oper-status")},
		Encoding: gpb.Encoding_PROTO,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.GetNotification()) != 2 {
		t.Fatalf("want a notification for each path: %v", res)
	}
	for i, n := range res.GetNotification() {
		if p := n.GetPrefix(); p.GetTarget() != "edge-7" || p.GetOrigin() != "openconfig" || len(p.GetElem()) != 0 {
			t.Errorf("notification %d: prefix %v, want the target and the origin of the request", i, p)
		}
	}
	octets := res.GetNotification()[0].GetUpdate()[0]
	if got := pathText(octets.GetPath().GetElem()); got != "/interfaces/interface[name=access-1]/state/counters/out-octets" {
		t.Errorf("path %s", got)
	}
	if octets.GetVal().GetUintVal() != 18446744073709551615 {
		t.Errorf("out-octets %v, want the largest 64-bit number", octets.GetVal())
	}
	if got := res.GetNotification()[1].GetUpdate()[0].GetVal().GetStringVal(); got != "UP" {
		t.Errorf("oper-status %q", got)
	}
}

func TestGetRefusals(t *testing.T) {
	src := newFake(twoPorts())
	c := serve(t, src, Options{})
	//lint:ignore SA1019 the refused field
	old := &gpb.Path{Element: []string{"interfaces"}}
	for _, tc := range []struct {
		name string
		req  *gpb.GetRequest
		code codes.Code
		text string
	}{
		{
			"no such interface", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=eth9", "state")}},
			codes.NotFound, `path "/interfaces/interface[name=eth9]/state": there is no such node now`,
		},
		{
			"an uncounted link", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "state", "counters")}},
			codes.NotFound, `path "/interfaces/interface[name=network]/state/counters": there is no such node now`,
		},
		{
			"not served", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "config")}},
			codes.Unimplemented, `path "/interfaces/interface[name=network]/config" is not served; below /interfaces/interface[name=network] there is: name, state`,
		},
		{
			"below a leaf", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "state", "id", "x")}},
			codes.Unimplemented, `path "/interfaces/interface[name=network]/state/id/x" is not served: /interfaces/interface[name=network]/state/id is a leaf, nothing is below it`,
		},
		{
			"a wrong key", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "id=network", "state")}},
			codes.InvalidArgument, `path "/interfaces/interface[id=network]/state": the list interface has no key "id"; its keys: name`,
		},
		{
			"a key on a container", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "name=network")}},
			codes.InvalidArgument, `path "/interfaces[name=network]": interfaces is not a list and has no key "name"`,
		},
		{
			"an element without a name", &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "")}},
			codes.InvalidArgument, `path "/interfaces/": an element has no name`,
		},
		{"no path", &gpb.GetRequest{}, codes.InvalidArgument, `get: no path; for everything name the root, a path without elements`},
		{
			"the old path field", &gpb.GetRequest{Path: []*gpb.Path{old}},
			codes.InvalidArgument, `path: the field element is of gNMI before 0.4; use elem`,
		},
		{
			"a target in a path", &gpb.GetRequest{Path: []*gpb.Path{{Target: "x", Elem: at("acl").Elem}}},
			codes.InvalidArgument, `path "/acl": target "x" belongs in the prefix`,
		},
		{
			"another origin", &gpb.GetRequest{Path: []*gpb.Path{{Origin: "cli", Elem: at("acl").Elem}}},
			codes.Unimplemented, `path "/acl": origin "cli" is not served, only openconfig`,
		},
		{
			"two origins", &gpb.GetRequest{Prefix: &gpb.Path{Origin: "openconfig"}, Path: []*gpb.Path{{Origin: "openconfig"}}},
			codes.InvalidArgument, `path "/": origin both in the prefix and in the path`,
		},
		{
			"an unknown model", &gpb.GetRequest{Path: []*gpb.Path{at()}, UseModels: []*gpb.ModelData{{Name: "openconfig-bgp"}}},
			codes.InvalidArgument, `use_models: model "openconfig-bgp" is not supported; supported: openconfig-interfaces 3.8.1, openconfig-acl 1.3.3, openconfig-p4rt 1.0.0, openconfig-system 3.1.0 of OpenConfig working group, op25b-filter 2026-11-29 of op25b`,
		},
		{
			"a model of another version", &gpb.GetRequest{Path: []*gpb.Path{at()}, UseModels: []*gpb.ModelData{{Name: "openconfig-acl", Organization: "OpenConfig working group", Version: "1.0.0"}}},
			codes.InvalidArgument, `use_models: model "openconfig-acl" of "OpenConfig working group" version "1.0.0" is not supported; supported: openconfig-interfaces 3.8.1, openconfig-acl 1.3.3, openconfig-p4rt 1.0.0, openconfig-system 3.1.0 of OpenConfig working group, op25b-filter 2026-11-29 of op25b`,
		},
		{
			"a model of another organization", &gpb.GetRequest{Path: []*gpb.Path{at()}, UseModels: []*gpb.ModelData{{Name: "openconfig-acl", Organization: "IETF"}}},
			codes.InvalidArgument, `use_models: model "openconfig-acl" of "IETF" is not supported; supported: openconfig-interfaces 3.8.1, openconfig-acl 1.3.3, openconfig-p4rt 1.0.0, openconfig-system 3.1.0 of OpenConfig working group, op25b-filter 2026-11-29 of op25b`,
		},
		{
			"too many elements", &gpb.GetRequest{Path: []*gpb.Path{{Elem: make([]*gpb.PathElem, MaxElems+1)}}},
			codes.InvalidArgument, `path: more than 32 elements with its prefix`,
		},
		{
			"too many depths", &gpb.GetRequest{Path: []*gpb.Path{at("...", "state", "...", "counters", "...")}},
			codes.InvalidArgument, `path: 3 times "..."; at most 2`,
		},
		{
			"too many paths", &gpb.GetRequest{Path: make([]*gpb.Path, MaxPaths+1)},
			codes.ResourceExhausted, `get: 1025 paths; at most 1024 in one request`,
		},
		{
			"an encoding", &gpb.GetRequest{Path: []*gpb.Path{at()}, Encoding: gpb.Encoding_ASCII},
			codes.Unimplemented, `encoding ASCII is not supported; supported: JSON_IETF, JSON, PROTO`,
		},
		{
			"a type", &gpb.GetRequest{Path: []*gpb.Path{at()}, Type: 9},
			codes.InvalidArgument, `get: type 9; valid: ALL, CONFIG, STATE, OPERATIONAL`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := c.Get(t.Context(), tc.req)
			wantStatus(t, err, tc.code, tc.text)
		})
	}
	if n := src.readCount(); n != 2 { // only the two requests whose nodes did not exist caused a reading
		t.Errorf("the source was read %d times; a request that is refused reads nothing", n)
	}
	src.fail(errors.New("switch gone"))
	_, err := c.Get(t.Context(), &gpb.GetRequest{Path: []*gpb.Path{at()}})
	wantStatus(t, err, codes.Unavailable, "the counters cannot be read: switch gone")
}

// TestBothPathFields verifies that a path may also have the field of old servers, because some
// clients, such as gnmi_cli, set both fields.
func TestBothPathFields(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{})
	path := at("interfaces", "interface", "name=network", "state", "id")
	//lint:ignore SA1019 the field of old servers
	path.Element = []string{"interfaces", "interface[name=network]", "state", "id"}
	if got := get(t, c, &gpb.GetRequest{Path: []*gpb.Path{path}}); got != "2" {
		t.Errorf("got %s", got)
	}
}

func TestNewServerRefusals(t *testing.T) {
	if _, err := NewServer(nil, Options{}); !errors.Is(err, ErrOptions) {
		t.Errorf("no source: %v", err)
	}
	if _, err := NewTargetServer(nil, Options{}); !errors.Is(err, ErrOptions) {
		t.Errorf("no targets: %v", err)
	}
	_, err := NewServer(newFake(nil), Options{MinSample: -1})
	if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "MinSample is -1ns: it must be > 0, or 0 for 1s") {
		t.Errorf("negative interval: %v", err)
	}
}

func aclEntry(itf, seq string) string {
	return "/acl/interfaces/interface[id=" + itf + "]/ingress-acl-sets/ingress-acl-set[set-name=op25b][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=" + seq + "]"
}

func wantStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if s := status.Convert(err); s.Code() != code || s.Message() != text {
		t.Errorf("got  %v: %s\nwant %v: %s", s.Code(), s.Message(), code, text)
	}
}

func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%s: %v in %q", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: the test's own JSON: %v", what, err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

// TestGetInterfaceState verifies that the states of an interface and the times of their changes are
// encoded as OpenConfig specifies.
func TestGetInterfaceState(t *testing.T) {
	state := &State{Interfaces: []Interface{{
		Name: "a", Oper: OperLowerLayerDown, Admin: AdminUp, LastChange: time.Unix(1, 5), LastClear: time.Unix(2, 0), Counters: &InterfaceCounters{},
	}}}
	c := serve(t, newFake(state), Options{Now: fixedStamp})
	for leaf, want := range map[string]string{
		"oper-status": `"LOWER_LAYER_DOWN"`, "admin-status": `"UP"`, "last-change": `"1000000005"`, "counters/last-clear": `"2000000000"`,
	} {
		path := append([]string{"interfaces", "interface", "state"}, strings.Split(leaf, "/")...)
		res, err := c.Get(t.Context(), &gpb.GetRequest{Path: []*gpb.Path{at(path...)}, Encoding: gpb.Encoding_JSON_IETF})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(res.Notification[0].Update[0].Val.GetJsonIetfVal()); got != want {
			t.Errorf("%s: %s, want %s", leaf, got, want)
		}
	}
}
