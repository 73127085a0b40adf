// Package telemetry collects the counters of switches over gNMI (gNMI specification 0.10, OpenConfig models).
//
// A Collector keeps one subscription for each switch that this controller owns, and holds the newest values of every counter. It accepts
// names with and without modules, numbers as strings, leaves and JSON subtrees, and paths with and without prefixes. Once reads a target a
// single time.
//
// The package knows no names of rules, phases or lines: a switch reports numbers only. It keeps no time series: see package history.
package telemetry
