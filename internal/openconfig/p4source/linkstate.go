package p4source

import (
	"op25b/internal/openconfig"
	"op25b/internal/wire"
)

// LinkOf converts an interface's state to the states of OpenConfig. The Link has no counters.
func LinkOf(s wire.LinkState) Link {
	l := Link{Index: s.Index, Admin: openconfig.AdminDown}
	switch s.Oper {
	case wire.OperUp:
		l.Oper = openconfig.OperUp
	case wire.OperDown:
		l.Oper = openconfig.OperDown
	case wire.OperTesting:
		l.Oper = openconfig.OperTesting
	case wire.OperDormant:
		l.Oper = openconfig.OperDormant
	case wire.OperNotPresent:
		l.Oper = openconfig.OperNotPresent
	case wire.OperLowerLayerDown:
		l.Oper = openconfig.OperLowerLayerDown
	default:
		l.Oper = openconfig.OperUnknown
	}
	switch {
	case s.Oper == wire.OperNotPresent:
		l.Admin = "" // unknown
	case s.Admin:
		l.Admin = openconfig.AdminUp
	}
	return l
}
