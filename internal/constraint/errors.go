package constraint

import "errors"

var (
	// ErrRestriction is returned by Load for an annotation that is not a valid restriction of its table or action.
	ErrRestriction = errors.New("bad restriction")
	// ErrViolated is returned for an entry or action that a restriction forbids.
	ErrViolated = errors.New("restriction violated")
	// ErrEntry is returned for an entry or action that does not match the P4Info and so cannot be checked: an unknown id, a field of the
	// wrong match type, an exact field or parameter left out, or a value wider than its field.
	ErrEntry = errors.New("not as in the P4Info")
)
