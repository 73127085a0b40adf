// Package openconfig is a gNMI server (gNMI specification, OpenConfig reference) for a switch's counters: the counters and state of
// openconfig-interfaces, and the ingress ACL counters of openconfig-acl, over any Source.
//
// It handles OpenConfig paths and gNMI subscriptions. It depends on no P4 program, sets nothing and keeps no series. Each answer is read
// from the Source when it is due, so that a slow subscriber gets the newest values late, not old ones in order, and costs no memory
// meanwhile.
//
// The served leaves:
//
//	/interfaces/interface[name]/state/{name, ifindex, id, oper-status}
//	/interfaces/interface[name]/state/counters/{in,out}-{octets, pkts, discards, errors}
//	/acl/interfaces/interface[id]/state/id
//	/acl/interfaces/interface[id]/ingress-acl-sets/ingress-acl-set[set-name][type=ACL_MIXED]/state/{set-name, type}
//	  .../acl-entries/acl-entry[sequence-id]/state/{sequence-id, matched-packets, matched-octets}
package openconfig
