// Package bring holds what the controller and the plan must answer alike about one switch: what it should hold (Desired), which of its
// entries op25b wrote (Foreign), and how it gets from one to the other (Program).
//
// It decides no order of writes (reconcile does), opens no session, and keeps no status.
package bring
