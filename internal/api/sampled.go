package api

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/tally"
	"op25b/internal/telemetry"
	op25bv1 "op25b/proto/op25b/v1"
)

// addSample adds the selected counters of a sample to a message.
func (f *foundCounters) addSample(m *op25bv1.SwitchCounters, s *tally.Sample) {
	st := &s.Status
	m.State, m.Reason = op25bv1.CollectionState(st.State), op25bv1.CollectionReason(st.Reason)
	m.Since, m.Retry, m.Updated, m.BootTime = stamp(st.Since), stamp(st.Retry), stamp(st.Updated), stamp(s.Boot)
	m.RejectedValues, m.LateValues = uint64(st.Rejected), uint64(st.Late)
	if st.Err != nil {
		m.Detail = causeOf(st.Err)
	}
	rated := s.RatesOver > 0
	if rated {
		m.RatesOver = durationpb.New(s.RatesOver)
	}
	totals, links := f.totals(s), f.links(s)
	m.RulesLeftOut, m.InterfacesLeftOut = uint32(max(0, len(totals)-maxRowsOfSwitch)), uint32(max(0, len(links)-maxRowsOfSwitch))
	for _, n := range totals[:min(len(totals), maxRowsOfSwitch)] {
		r := &op25bv1.RuleCounters{Rule: n.Rule, Leg: strings.ToLower(n.Leg), Phase: n.Phase, Packets: n.Packets, Octets: n.Octets}
		if rated {
			r.PacketsPerSecond, r.OctetsPerSecond = &n.PacketRate, &n.OctetRate
		}
		m.Rules = append(m.Rules, r)
	}
	for i := range links[:min(len(links), maxRowsOfSwitch)] {
		m.Interfaces = append(m.Interfaces, interfaceMessage(&links[i], rated))
	}
}

func interfaceMessage(in *tally.SampledInterface, rated bool) *op25bv1.InterfaceCounters {
	m := &op25bv1.InterfaceCounters{Interface: in.Name, Port: in.Port, OperStatus: in.Oper}
	for counter, field := range map[int]**uint64{
		telemetry.InPkts: &m.InPackets, telemetry.InOctets: &m.InOctets, telemetry.InDiscards: &m.InDiscards, telemetry.InErrors: &m.InErrors,
		telemetry.OutPkts: &m.OutPackets, telemetry.OutOctets: &m.OutOctets, telemetry.OutDiscards: &m.OutDiscards, telemetry.OutErrors: &m.OutErrors,
		telemetry.Transitions: &m.Transitions,
	} {
		if in.Reported[counter] {
			*field = &in.Counters[counter]
		}
	}
	for counter, field := range map[int]**float64{
		telemetry.InPkts: &m.InPacketsPerSecond, telemetry.InOctets: &m.InOctetsPerSecond,
		telemetry.OutPkts: &m.OutPacketsPerSecond, telemetry.OutOctets: &m.OutOctetsPerSecond,
	} {
		if rated && in.Reported[counter] {
			*field = &in.Rates[counter]
		}
	}
	return m
}

// grpcWords are the words that grpc-go and package net put around the cause of an error.
var grpcWords = regexp.MustCompile(`(capabilities: )?rpc error: code = \w+ desc = |connection error: desc = |transport: Error while dialing: |dial tcp [^ ]+: connect: `)

// causeOf returns the text of an error of gNMI without these words.
func causeOf(err error) string {
	return strings.ReplaceAll(grpcWords.ReplaceAllString(err.Error(), ""), `"`, "")
}
