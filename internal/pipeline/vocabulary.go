package pipeline

import (
	"errors"
	"fmt"
	"net"
)

// How documents write the vocabulary.

// Range leaves out 0, which P4Runtime targets reserve, and MaxPort, which is the CPU port of many switches.
func (Port) Range() (lo, hi uint64) { return 1, uint64(MaxPort) - 1 }

// Range begins at 0, for untagged frames.
func (VID) Range() (lo, hi uint64) { return 0, uint64(MaxVID) }

// Range leaves out 0, for frames outside a session.
func (Session) Range() (lo, hi uint64) { return 1, uint64(MaxSession) }

// Accepts lists the roles.
func (PortRole) Accepts() string { return "access or network" }

// Parse reads a role.
func (r *PortRole) Parse(text string) error {
	switch text {
	case "access":
		*r = Access
	case "network":
		*r = Network
	default:
		return errors.New("unknown role")
	}
	return nil
}

// Accepts shows a MAC address.
func (MAC) Accepts() string { return `a MAC address such as "02:00:00:00:01:01"` }

// Parse reads a MAC address of 48 bits.
func (m *MAC) Parse(text string) error {
	hw, err := net.ParseMAC(text)
	if err != nil {
		return err
	}
	if len(hw) != len(m) {
		return fmt.Errorf("%d bytes", len(hw))
	}
	*m = MAC(hw)
	return nil
}
