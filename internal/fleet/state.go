package fleet

import "op25b/internal/p4rt"

// States of a switch, as they are stored, logged and shown.
const (
	// StateUnassigned: no controller has it. The last one gave it up in order, and the switch goes on as it was left. A status in any other
	// state whose Owner is not among the store's members says the same of an owner that died: see Status.Abandoned.
	StateUnassigned = "unassigned"
	// StateWaiting: it is assigned to this controller, which does not own it yet. Never stored: the status is the owner's to write.
	StateWaiting = "waiting"
	// StateConnecting: it is owned, and dialed for the first time.
	StateConnecting = "connecting"
	// StateDisconnected: it is owned and cannot be reached, or refuses the session; it is dialed again with growing pauses.
	StateDisconnected = "disconnected"
	// StateBackup: it is owned and connected, and somebody outside of this store has a higher election id: nothing is written until that
	// one is gone. Then ours is raised.
	StateBackup = "backup"
	// StateConverging: it is read, and what differs is written.
	StateConverging = "converging"
	// StateConverged: it was read, and is in the state of Status.Revision.
	StateConverged = "converged"
	// StateFailed: it is connected and could not be brought to its state. It is tried again, with growing pauses, and at once when the intent
	// changes. What happens to packets is what the old policy says, or the new one: see package reconcile.
	StateFailed = "failed"
	// StateNoPhase: no phase has begun for it. Nothing is read or written until one has.
	StateNoPhase = "no-phase"
	// StateLost: the ownership was lost, and nothing is written any more. Never stored: the status is the next owner's to write.
	StateLost = "lost"
)

// Reasons of states, beside those of p4rt for StateConnecting, StateDisconnected and StateBackup.
const (
	ReasonReleased       = "released"                                // StateUnassigned
	ReasonOwnedElsewhere = "another controller owns it"              // StateWaiting: the detail names it
	ReasonStore          = "the store does not answer"               // StateWaiting
	ReasonElected        = string(p4rt.ReasonElected)                // StateConverging: primary gained
	ReasonPushed         = "the pipeline was not there"              // StateConverging
	ReasonIntent         = "the intent has changed"                  // StateConverging, StateConverged
	ReasonDate           = "a date has come"                         // StateConverging, StateConverged
	ReasonDrift          = "the switch was not as it was left"       // StateConverging, StateConverged: Status.Drift says how
	ReasonAsWanted       = "nothing had to be written"               // StateConverged
	ReasonWritten        = "what differed was written"               // StateConverged
	ReasonNoRoom         = "a table is full"                         // StateFailed: the detail names it (I10)
	ReasonRefused        = "the pipeline was refused"                // StateFailed
	ReasonCompile        = "the intent cannot be compiled for it"    // StateFailed
	ReasonConfig         = "its session cannot be configured"        // StateFailed: TLS files, say
	ReasonOutranked      = "a higher election id cannot be had"      // StateFailed: the store does not take it, or there is none
	ReasonNotConverged   = "it does not hold what was written to it" // StateFailed
	ReasonWrite          = "updates were refused"                    // StateFailed
	ReasonRead           = "it cannot be read"                       // StateFailed
	ReasonNoPhase        = "no phase has begun"                      // StateNoPhase: the detail says when one does
	ReasonLease          = "the lease was lost"                      // StateLost
)
