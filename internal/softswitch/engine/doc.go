// Package engine runs a P4 program compiled for v1model by p4c-bm2-ss.
//
// Load reads p4c's JSON and compiles it once. Every header field becomes one or more machine words (slots), and every parser state,
// condition and action becomes instructions on these slots. Moves, shifts and comparisons of words have their own instructions, and all
// other operations are Go closures. A Worker runs packets through the parser, checksum verification, ingress, replication, egress, checksum
// update and the deparser, as bmv2's simple_switch does, without allocating memory. The other methods of Engine are the control side: table
// entries, action profiles, counters, meters, registers, multicast groups, clone sessions, value sets and digests.
//
// Source turns the instructions of a program into Go functions, and a Native with them makes the engine run that program without interpreting it.
//
// Package engine is not a P4Runtime server; package p4rtserver is. The engine does no packet I/O: the caller passes each received frame to
// a Worker and gets the frames to send through a callback. The engine has no egress queues. It sends packets as soon as they are processed,
// and queue depths read as zero. The engine does not depend on a particular program.
//
// Load rejects programs that use unsupported features. The error names the feature and its position in the program.
package engine
