// Package northbound serves the counters of every switch of the inventory over gNMI. Each switch is a target that the prefix of a request
// names.
//
// The controller that owns a switch serves the values that its collector received last. They are the values that the switch reported, not
// totals, so that a collector reads the same numbers here and from the switch itself. Rules have their names, meanings and actions. The
// counters of lines are not served, because they are personal data. A controller that does not own a switch forwards the call to the owner.
//
// The package authenticates no callers: package api does.
package northbound
