package policy

// An Exemptible says whether a line can have an exemption, and why not.
type Exemptible string

// The reasons are in the order in which Exemptible looks for them. Validate refuses an exemption for either reason.
const (
	ExemptionPossible  Exemptible = "possible"
	ExemptionDynamic   Exemptible = "dynamic"    // the line's addresses change, and its switch does not identify lines
	ExemptionNoAddress Exemptible = "no-address" // the inventory has no address of the line
)

// Exemptible reports whether a line of the switch sw can have an exemption. g is the line's group.
func (l *Line) Exemptible(sw *Switch, g *LineGroup) Exemptible {
	_, sessions := l.SessionIdentity(sw, g)
	switch {
	case sessions:
		return ExemptionPossible
	case l.addressing(g) == Dynamic:
		return ExemptionDynamic
	case len(l.Prefixes) == 0:
		return ExemptionNoAddress
	}
	return ExemptionPossible
}
