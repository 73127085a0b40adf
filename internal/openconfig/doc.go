// Package openconfig is a gNMI server (gNMI specification, OpenConfig reference) for the counters of switches. It serves
// openconfig-interfaces, openconfig-acl, openconfig-system and the module op25b-filter (docs/yang). The data come from one Source, or from
// one Source per target.
//
// The server handles OpenConfig paths and gNMI subscriptions. It depends on no P4 program, does not support Set and keeps no time series. It
// reads values from the Source when an answer is due. A slow subscriber therefore gets the newest values instead of queued old ones, and
// needs no queue in memory.
//
// These leaves are served if the Source provides their values:
//
//	/interfaces/interface[name]/state/{name, ifindex, admin-status, oper-status, last-change, id}
//	/interfaces/interface[name]/state/counters/{in,out}-{octets, pkts, discards, errors}
//	/interfaces/interface[name]/state/counters/{last-clear, interface-transitions}
//	/acl/state/counter-capability
//	/acl/interfaces/interface[id]/state/id
//	/acl/interfaces/interface[id]/ingress-acl-sets/ingress-acl-set[set-name][type=ACL_MIXED]/state/{set-name, type}
//	  .../acl-entries/acl-entry[sequence-id]/state/{sequence-id, matched-packets, matched-octets}
//	/acl/acl-sets/acl-set[name][type=ACL_MIXED]/state/{name, type}
//	  .../acl-entries/acl-entry[sequence-id]/config/{sequence-id, description}
//	  .../acl-entries/acl-entry[sequence-id]/state/{sequence-id, description, matched-packets, matched-octets}
//	  .../acl-entries/acl-entry[sequence-id]/actions/{config, state}/forwarding-action
//	  .../lines/line[id]/state/{id, {passed, monitored, stopped, unsolicited}-{packets, octets}}
//	  .../leg-entries/leg-entry[epoch][leg][sequence-id]/state/{epoch, leg, sequence-id, matched-packets, matched-octets}
//	/system/state/{hostname, current-datetime, boot-time, software-version}
package openconfig
