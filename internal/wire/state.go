package wire

// A LinkState is the state of a link's interface, as the kernel reports it.
type LinkState struct {
	Index uint32 // index of the interface; 0 if the interface does not exist
	Admin bool   // whether the interface is administratively up
	Oper  OperState
}

// An OperState is the operational state of an interface. The values are those of ifOperStatus in RFC 2863.
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
	// Follow sets the function that the link calls after each change of its state. Follow must be called once, before Serve. changed
	// must not call the link.
	Follow(changed func())
}
