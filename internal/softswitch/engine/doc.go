// Package engine runs a P4 program compiled for v1model by p4c-bm2-ss.
//
// Load reads the JSON that p4c emits and compiles it once: every header field becomes a slot of machine words, and every
// parser state, condition and action becomes instructions over these slots, with Go closures for what is not just moving and
// comparing words. A Worker then takes packets through parser, checksum verification, ingress, replication, egress, checksum
// update and deparser as bmv2's simple_switch does, without allocating. The Engine's other methods are the control side:
// table entries, action profiles, counters, meters, registers, multicast groups, clone sessions, value sets and digests.
//
// It is not a P4Runtime server (package p4rtserver is), it does no packet I/O (its owner feeds frames in and takes frames
// out), it has no egress queues (a packet leaves as soon as it is done, so queue depths read as zero), and it knows nothing
// of the program that it runs.
//
// What it does not know it refuses at Load, by name and place; nothing is ignored when a packet comes.
package engine
