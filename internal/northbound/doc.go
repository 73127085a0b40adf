// Package northbound serves the counters of every switch in the inventory over gNMI. Each switch is a target, which the prefix of a request
// names.
//
// The controller that owns a switch serves the values that its collector last received. These are the values that the switch reported, and
// not totals, so a collector reads the same numbers here and from the switch itself. Rules are served with their names, meanings and
// actions. The counters of lines are not served, because they are personal data. A controller that does not own a switch forwards the call
// to the owner.
//
// The package does not authenticate callers; package api does.
package northbound
