// Package fleet keeps every switch of the intent in the state that its documents compile to. Any number of controllers share the switches
// of one store.
//
// Each switch has one controller at a time, which Assign computes from the controllers present. The right to write is a key in the store.
// Its owner uses the key's revision as the P4Runtime election id, stops before another controller can own it, and checks the ownership
// before each request that changes a switch (I3). A switch without an owner keeps its entries (I4).
//
// A worker reads its switch when its session becomes primary, when the program was missing, and in regular audits, and writes the
// differences (I5, I7). It checks the desired state whenever the intent changes and when a date has come. If only the rule set differs,
// and the switch already holds the wanted one, the change is one MODIFY without a read.
//
// policy decides what the switch should hold, and reconcile what to write in which order. This package owns the sessions, the workers, and
// the status of each switch with its reason.
package fleet
