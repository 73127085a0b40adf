// Package store is the one store of the controller: etcd, embedded in the process for a single controller, an external cluster for
// several, and one code path for both.
//
// It keeps four things. Intent: the documents of policy and inventory, every change of them one transaction that has a revision, an
// author and a reason. Records: small typed values of other packages, each written only on what its writer has read. Ownership: who
// may write to a switch, with an epoch that orders the owners, and which controllers are present. Audit: a chain of hashes over who
// did what.
//
// It is not a cache and holds nothing of its own: what it returns was read from a majority of the cluster. It does not know what a
// document or a record means; policy, rollout and fleet do. Nothing here polls: whoever waits is told by etcd.
package store
