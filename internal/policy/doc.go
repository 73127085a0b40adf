// Package policy defines the operator's two documents, validates them, and determines which phase is in force at a given time.
//
// An Inventory names the switches, their ports and the subscriber lines behind them. A Policy names the mail services, the classes of
// remote servers, the exemptions, and the phases with their rules. Load reads both from YAML, strictly. Validate finds every fault at once.
//
// The package is pure: it does no I/O, reads no clock and logs nothing. Package compile makes the entries of a switch from the documents,
// and package meaning describes the effect of a change.
package policy
