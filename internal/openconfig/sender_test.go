package openconfig

import (
	"slices"
	"testing"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// TestMessages verifies the prefixes of messages. Leaves of an interface have the interface's path as prefix, and other leaves have the path
// of their list or container. No message has more than 128 changes. In the JSON encodings, the values are encoded as JSON.
func TestMessages(t *testing.T) {
	st := whole()
	for id := range uint32(40) {
		st.Lines = append(st.Lines, Line{ID: id + 17000})
	}
	c := serve(t, newFake(st), Options{})
	const set = "/acl/acl-sets/acl-set[name=op25b][type=ACL_MIXED]"
	for _, tc := range []struct {
		path  *gpb.Path
		want  []string // prefixes
		sizes []int
	}{
		{at("system"), []string{"/system"}, []int{4}},
		{at("acl", "state"), []string{"/acl/state"}, []int{1}},
		{at("acl", "acl-sets", "acl-set", "state"), []string{set}, []int{2}},
		{at("acl", "acl-sets", "acl-set", "acl-entries"), []string{set + "/acl-entries"}, []int{2*(4+4) + 3}},
		{at("acl", "acl-sets", "acl-set", "lines"), []string{set + "/lines", set + "/lines", set + "/lines"}, []int{128, 128, 41*9 - 256}},
		{at("acl", "acl-sets", "acl-set", "leg-entries"), []string{set + "/leg-entries"}, []int{2 * 5}},
		{at("interfaces"), []string{"/interfaces/interface[name=access-1]", "/interfaces/interface[name=network]"}, []int{12, 4}},
	} {
		for _, enc := range []gpb.Encoding{gpb.Encoding_PROTO, gpb.Encoding_JSON, gpb.Encoding_JSON_IETF} {
			l := listOf(gpb.SubscriptionList_ONCE, &gpb.Subscription{Path: tc.path})
			l.Encoding = enc
			l.Prefix = &gpb.Path{Target: "edge-7", Origin: "openconfig"}
			s := subscribe(t, c, l)
			var prefixes []string
			var sizes []int
			for m := s.next(); !m.sync; m = s.next() {
				p := m.note.GetPrefix()
				if p.GetTarget() != "edge-7" || p.GetOrigin() != "openconfig" {
					t.Errorf("prefix %v, want the target and the origin of the request", p)
				}
				prefixes, sizes = append(prefixes, pathText(p.GetElem())), append(sizes, len(m.note.GetUpdate()))
				for _, u := range m.note.GetUpdate() {
					_, isProto := u.GetVal().GetValue().(*gpb.TypedValue_UintVal)
					_, isText := u.GetVal().GetValue().(*gpb.TypedValue_StringVal)
					if (isProto || isText) != (enc == gpb.Encoding_PROTO) ||
						(enc == gpb.Encoding_JSON) != (u.GetVal().GetJsonVal() != nil) || (enc == gpb.Encoding_JSON_IETF) != (u.GetVal().GetJsonIetfVal() != nil) {
						t.Errorf("%v: value %v", enc, u.GetVal())
					}
				}
			}
			if !slices.Equal(prefixes, tc.want) || !slices.Equal(sizes, tc.sizes) {
				t.Errorf("%v: prefixes %v with %v leaves, want %v with %v", enc, prefixes, sizes, tc.want, tc.sizes)
			}
		}
	}
}

// TestDeletesAreComplete verifies that deletes have complete paths, and are sent before the updates.
func TestDeletesAreComplete(t *testing.T) {
	bubble(t, twoPorts(), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		l := listOf(gpb.SubscriptionList_STREAM, onChange(at("interfaces")))
		l.Prefix = &gpb.Path{Target: "edge-7"}
		s := subscribe(t, c, l)
		s.initial()
		st := twoPorts()
		st.Interfaces[0].Oper = OperDown
		st.Interfaces = st.Interfaces[:1]
		src.set(st, true)
		m := s.next()
		if p := m.note.GetPrefix(); p.GetTarget() != "edge-7" || len(p.GetElem()) != 0 || len(m.note.GetUpdate()) != 0 ||
			pathText(m.note.GetDelete()[0].GetElem()) != "/interfaces/interface[name=network]" {
			t.Errorf("got %v", m.note)
		}
		s.wantNext(map[string]string{status1: "DOWN"})
	})
}
