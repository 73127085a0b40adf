// Package openconfig is a gNMI server (gNMI specification, OpenConfig reference) for a switch's counters: the counters and state of
// openconfig-interfaces, and the ingress ACL counters of openconfig-acl, over any Source.
//
// The server handles OpenConfig paths and gNMI subscriptions. It depends on no P4 program, does not support Set and keeps no time series.
// Values are read from the Source when an answer is due. So a slow subscriber gets the newest values instead of queued old ones, and needs
// no queue in memory.
//
// The served leaves:
//
//	/interfaces/interface[name]/state/{name, ifindex, id, oper-status}
//	/interfaces/interface[name]/state/counters/{in,out}-{octets, pkts, discards, errors}
//	/acl/interfaces/interface[id]/state/id
//	/acl/interfaces/interface[id]/ingress-acl-sets/ingress-acl-set[set-name][type=ACL_MIXED]/state/{set-name, type}
//	  .../acl-entries/acl-entry[sequence-id]/state/{sequence-id, matched-packets, matched-octets}
package openconfig
