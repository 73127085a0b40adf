// Package store is the controller's only store. It uses etcd, either embedded in the process of a single controller, or as an external
// cluster for several controllers.
//
// The store keeps four kinds of data. The intent consists of the documents of policy and inventory. Every change of the intent is one
// transaction with a revision, an author and a reason. Records are small typed values of other packages. A write of a record can require
// that the record still has the version that the writer read. Ownership is the right to write to a switch, with an epoch that orders the
// owners. The store also lists the controllers that are present. The audit chain is a hash chain of records, with one record for each
// action of a caller.
//
// Reads are answered by a majority of the cluster. Only immutable content is cached. The package does not interpret documents or records;
// the packages intent, fleet and clock do. Callers that wait for a change are notified by etcd and need not poll.
package store
