package pipeline

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

func flowList(id uint32, values ...[]byte) *p4v1.DigestList {
	s := &p4v1.P4StructLike{}
	for _, v := range values {
		s.Members = append(s.Members, &p4v1.P4Data{Data: &p4v1.P4Data_Bitstring{Bitstring: v}})
	}
	return &p4v1.DigestList{DigestId: id, Data: []*p4v1.P4Data{{Data: &p4v1.P4Data_Struct{Struct: s}}}}
}

// A flow of each family, in the canonical bytes of P4Runtime: leading zeros are gone.
func TestMailFlows(t *testing.T) {
	list := flowList(mailFlowDigest, []byte{1, 44}, []byte{2}, []byte{7}, []byte{5}, []byte{3}, []byte{1}, []byte{2}, []byte{1},
		[]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, []byte{10, 0, 0, 1})
	got, err := MailFlows(list)
	want := MailFlow{
		Line: 300, Leg: DownSrc, Service: 7, Rule: 5, Action: Drop, SYNACK: true,
		Subscriber: netip.MustParseAddr("2001:db8::9"), Remote: netip.MustParseAddr("10.0.0.1"),
	}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestForeignFlows(t *testing.T) {
	for want, list := range map[string]*p4v1.DigestList{
		"digest 0x17000001":                 flowList(0x17000001),
		"a mail flow of 1 members, want 10": flowList(mailFlowDigest, []byte{1}),
	} {
		if _, err := MailFlows(list); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want ErrForeign with %q", err, want)
		}
	}
}
