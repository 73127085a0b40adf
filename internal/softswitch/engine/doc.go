// Package engine runs a P4 program compiled for v1model by p4c-bm2-ss.
//
// Load reads p4c's JSON and compiles it once: every header field becomes a slot of machine words, and every parser state, condition and
// action becomes instructions over these slots. Operations other than moves, shifts and comparisons of words are Go closures. A Worker then
// takes packets through parser, checksum verification, ingress, replication, egress, checksum update and deparser as bmv2's simple_switch
// does, without allocating. The Engine's other methods are the control side: table entries, action profiles, counters, meters, registers,
// multicast groups, clone sessions, value sets and digests.
//
// It is not a P4Runtime server (package p4rtserver is) and does no packet I/O: its owner passes frames in and receives frames. It has no
// egress queues: a packet leaves as soon as it is done, and queue depths read as zero. It depends on no particular program.
//
// Load refuses what the engine does not support, by name and place. Nothing is ignored when packets arrive.
package engine
