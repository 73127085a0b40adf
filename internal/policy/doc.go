// Package policy defines the operator's documents, validates them, and determines which phase is in force at a given time.
//
// An Inventory lists the switches, their ports and the subscriber lines behind them. A Policy lists the mail services, the classes of
// remote servers, and the phases with their rules. Exemptions are a document of their own. Load strictly decodes the documents from YAML. Validate
// reports all faults together.
//
// The package is pure: it does no I/O, reads no clock and logs nothing. Package compile computes a switch's table entries from the
// documents, and package meaning describes the effect of a change.
package policy
