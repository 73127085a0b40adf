package constraint

import "errors"

var (
	// ErrRestriction is returned by Load for an annotation that is not a valid restriction of its table or action.
	ErrRestriction = errors.New("bad restriction")
	// ErrViolated is returned for an entry or action that a restriction forbids.
	ErrViolated = errors.New("restriction violated")
	// ErrEntry is returned for an entry or action that does not match the P4Info and so cannot be checked. This is the case if an id is
	// unknown, a field has the wrong match type, an exact field or a parameter is missing, or a value is wider than its field.
	ErrEntry = errors.New("not as in the P4Info")
)
