// Package prove tries a change on a twin of the switch before anything is stored.
//
// It makes packets from the entries that a switch would get and from the documents that they were compiled from. Three judges decide about
// each packet: the pipeline, which runs in process with the entries, the independent model of package reference, which knows only the
// documents, and package meaning, whose words a plan shows. If they differ, the change is refused with the smallest set of entries that shows
// the difference. The states between the steps of the change are tried too (I1, I2).
//
// The packets need no solver, because each table is exact, longest prefix or short ternary: an entry is hit by its own values, and a prefix ends
// at its first and last address.
//
// Prove contacts no switch and stores nothing. It does not try the entries of sessions and leases, which are no part of a compiled state.
package prove
