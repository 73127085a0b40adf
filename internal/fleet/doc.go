// Package fleet keeps every switch of the intent in the state that it compiles to, from as many controllers as there are on one store.
//
// Each switch has one controller at a time. Which one follows from who is present (Assign), and the right to write from a key in the store:
// whoever has it uses the revision at which it was made as P4Runtime election id, stops before another can have it, and asks once more
// before each request that changes anything (I3). A switch that nobody has goes on as it was left (I4).
//
// A worker reads its switch when it connects and has become primary, when the program was not there, and in an audit from time to time,
// and writes what differs (I5, I7). It looks anew whenever the intent changes and when a date has come; where another rule set is all that
// differs, and the switch holds it, that is one MODIFY without a read.
//
// What the switch should hold is policy's to say, what to write in which order reconcile's. Fleet owns the sessions, the workers, and the
// status of each switch with the reason for it.
package fleet
