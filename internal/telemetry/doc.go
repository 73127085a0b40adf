// Package telemetry collects the counters of switches over gNMI (gNMI specification 0.10, OpenConfig models).
//
// A Collector keeps one subscription to each switch that this controller owns, and holds the newest value of every counter. It accepts
// names with and without modules, numbers as strings, leaves and JSON subtrees, and paths with and without prefixes. Client.Once reads the
// counters of one target without a lasting subscription.
//
// The package does not use the names of rules, phases or lines, because a switch reports numbers only. It keeps no time series; package
// history does.
package telemetry
