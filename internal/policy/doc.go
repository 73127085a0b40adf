// Package policy has the operator's two documents: their types, whether they make sense together, and which phase is in force when.
//
// An Inventory names the switches, their ports and the subscriber lines behind them. A Policy names the mail services, the classes of
// remote servers, the exemptions, and the phases with their rules. Load reads both from YAML, strictly. Validate finds every fault at once.
//
// It is pure: bytes and times come in as values, and nothing is read, written, timed or logged. It does not know what a switch should hold
// (compile does), what a change means (meaning does), or when a phase should start on which switch (rollout does).
package policy
