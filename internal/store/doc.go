// Package store is the controller's only store: etcd, embedded in the process for a single controller, or an external cluster for several.
// Both use the same code.
//
// It keeps four things. Intent: the documents of policy and inventory, of which every change is one transaction with a revision, an author
// and a reason. Records: small typed values of other packages, each written only on the version that its writer has read. Ownership: the
// right to write to a switch, with an epoch that orders the owners, and the present controllers. Audit: a chain of hashes over the actions
// of callers.
//
// It caches no answers: what it returns was read from a majority of the cluster. It does not know what a document or a record means;
// intent, fleet and clock do. Nothing here polls: etcd notifies the callers that wait.
package store
