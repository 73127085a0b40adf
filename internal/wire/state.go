package wire

// A LinkState is the kernel's state of the interface behind a link.
type LinkState struct {
	Index uint32 // index of the interface; 0 if the interface does not exist
	Admin bool   // whether it is administratively up
	Oper  OperState
}

// An OperState is the operational state of an interface, numbered as ifOperStatus of RFC 2863.
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

// A Followed link reports the state of its interface. The interface may be removed and created again while the link is open.
type Followed interface {
	Link
	// State returns the current state.
	State() LinkState
	// Follow sets the function to call after each change of State. It must be called once, before Serve. changed must not call the link.
	Follow(changed func())
}
