package pipeline

import (
	"errors"
	"fmt"
	"net"
)

// The methods below define how documents write these types; see strict.Scalar and strict.Number.

// Range returns the smallest and largest port number in documents. It excludes 0, which P4Runtime targets
// reserve.
func (Port) Range() (lo, hi uint64) { return 1, uint64(MaxPort) }

// Range returns the smallest and largest VLAN id. It includes 0, which means untagged frames.
func (VID) Range() (lo, hi uint64) { return 0, uint64(MaxVID) }

// Range returns the smallest and largest PPPoE session id. It excludes 0, which means frames outside a
// session.
func (Session) Range() (lo, hi uint64) { return 1, uint64(MaxSession) }

// Accepts lists the valid roles.
func (PortRole) Accepts() string { return "access or network" }

// Parse parses the name of a role.
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

// MarshalYAML returns the name of the role, for strict.Encode.
func (r PortRole) MarshalYAML() (any, error) {
	if r == Network {
		return "network", nil
	}
	return "access", nil
}

// Accepts describes a MAC address by an example.
func (MAC) Accepts() string { return `a MAC address such as "02:00:00:00:01:01"` }

// MarshalYAML returns the address as text, for strict.Encode.
func (m MAC) MarshalYAML() (any, error) { return net.HardwareAddr(m[:]).String(), nil }

// Parse parses a 48-bit MAC address.
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
