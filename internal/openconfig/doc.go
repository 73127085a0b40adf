// Package openconfig is a gNMI server (gNMI specification, OpenConfig reference) for what a switch counts: the counters and
// state of openconfig-interfaces, and the ingress ACL counters of openconfig-acl, over any Source.
//
// It knows OpenConfig paths and gNMI subscriptions. It knows no P4 program, sets nothing, and keeps no series: each answer
// is read from the Source when it is due, so that a subscriber who is slow gets the newest values late rather than old ones
// in order, and costs no memory while it is.
//
// The served leaves:
//
//	/interfaces/interface[name]/state/{name, ifindex, id, oper-status}
//	/interfaces/interface[name]/state/counters/{in,out}-{octets, pkts, discards, errors}
//	/acl/interfaces/interface[id]/state/id
//	/acl/interfaces/interface[id]/ingress-acl-sets/ingress-acl-set[set-name][type=ACL_MIXED]/state/{set-name, type}
//	  .../acl-entries/acl-entry[sequence-id]/state/{sequence-id, matched-packets, matched-octets}
package openconfig
