// Package bring answers questions about one switch in the same way for the controller and the plan: what the switch should hold
// (Desired), which of its entries op25b did not write (Foreign), and how it gets to the desired state (Program).
//
// The package does not order writes (reconcile does), opens no session, and keeps no status.
package bring
