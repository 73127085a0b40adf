// Package store is the controller's only store: etcd, embedded in the process of a single controller, or an external cluster for several
// controllers.
//
// The store keeps four kinds of data. Intent is the documents of policy and inventory; every change is one transaction with a revision, an
// author and a reason. Records are small typed values of other packages; a write can require the version that the writer has read.
// Ownership is the right to write to a switch, with an epoch that orders the owners, and the list of present controllers. Audit is a hash
// chain of records, one for each action of a caller.
//
// Reads are answered by a majority of the cluster; only immutable content is cached. The package does not interpret documents or records;
// intent, fleet and clock do. Callers that wait are notified by etcd and need not poll.
package store
