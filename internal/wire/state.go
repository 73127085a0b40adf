package wire

// A LinkState is what the kernel says of the interface behind a link.
type LinkState struct {
	Index uint32 // of the interface; 0 while there is none
	Admin bool   // whether it is set up
	Oper  OperState
}

// An OperState is the operational state of an interface. The numbers are those of ifOperStatus, RFC 2863.
type OperState uint8

// The operational states.
const (
	OperUp OperState = iota + 1
	OperDown
	OperTesting
	OperUnknown
	OperDormant
	OperNotPresent
	OperLowerLayerDown
)

// A Followed link knows the state of its interface, which may be removed and made again while the link is open.
type Followed interface {
	Link
	// State returns the state as it is now.
	State() LinkState
	// Follow has changed called after each change of State. It is called once, before Serve. changed must not call the link.
	Follow(changed func())
}
