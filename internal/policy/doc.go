// Package policy is the operator's intent: what the two documents say, whether they make sense together, and what one switch should
// hold in one phase.
//
// An Inventory names the switches, their ports and the subscriber lines behind them. A Policy names the mail services, the classes of
// remote servers, the exemptions, and the phases with their rules. Load reads both from YAML, strictly; Validate finds every fault at
// once; Compile turns them into a pipeline.State and the meaning of its rule ids.
//
// It is pure: bytes and times come in as values, and nothing is read, written, timed or logged. It does not know how a table of the
// pipeline is named (pipeline does), which entries a switch has now (reconcile does), or when a phase should start on which switch
// (rollout does).
package policy
