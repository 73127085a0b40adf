// Package policy defines the operator's two documents, validates them, and determines which phase is in force at a given time.
//
// An Inventory lists the switches, their ports and the subscriber lines behind them. A Policy lists the mail services, the classes of
// remote servers, the exemptions, and the phases with their rules. Load strictly decodes both documents from YAML. Validate reports
// all faults together.
//
// The package is pure: it does no I/O, reads no clock and logs nothing. Package compile computes a switch's table entries from the
// documents, and package meaning describes the effect of a change.
package policy
