// Package bring answers the questions about one switch that the controller and the plan must answer alike. Desired identifies
// the state that the switch should have, Foreign finds the entries that op25b did not write, and Program brings the switch to
// its desired state.
//
// The package neither orders writes, which package reconcile does, nor opens sessions or keeps status.
package bring
