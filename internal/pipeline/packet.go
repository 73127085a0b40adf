package pipeline

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// checkPackets verifies the headers of packets between the switch and a controller.
func checkPackets(info *configv1.P4Info) (faults []error) {
	for _, want := range []struct {
		name   string
		fields []field
	}{{"packet_out", packetOutFields}, {"packet_in", packetInFields}} {
		var got []field
		for _, h := range info.GetControllerPacketMetadata() {
			if h.GetPreamble().GetAlias() != want.name {
				continue
			}
			for i, m := range h.GetMetadata() {
				if m.GetId() == uint32(i+1) {
					got = append(got, field{name: m.GetName(), width: int(m.GetBitwidth())})
				}
			}
		}
		if !slices.Equal(got, want.fields) {
			faults = append(faults, fmt.Errorf("the header %q has the fields %s, want %s", want.name, fieldsText(got), fieldsText(want.fields)))
		}
	}
	return faults
}

func fieldsText(fields []field) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = fmt.Sprintf("%s of %d bits", f.name, f.width)
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}
