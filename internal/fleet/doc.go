// Package fleet keeps every switch in the state to which the intent's documents compile. Any number of controllers share the switches of
// one store.
//
// Each switch has one controller at a time, which Assign determines from the controllers that are present. The right to write to a switch
// is a key in the store. The owner uses the key's revision as the P4Runtime election id. It stops before another controller can own the
// switch, and checks its ownership before each request that changes the switch (I3). A switch without an owner keeps its entries (I4).
//
// A worker reads its switch when its session becomes primary, when the switch had no program, and in regular audits, and then writes the
// differences (I5, I7). It checks the desired state whenever the intent changes or a date comes. If only the rule set differs, and the
// switch already has the wanted rule set, the worker changes it by one MODIFY without a read.
//
// Package policy determines which entries a switch should have, and package reconcile determines which entries to write in which order.
// This package manages the sessions, the workers, and the status of each switch with its reason.
package fleet
