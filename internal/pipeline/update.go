package pipeline

// A Kind is the kind of an Update.
type Kind uint8

// The kinds of updates, with P4Runtime's numbers. Default entries always exist, so Modify is the only kind that
// applies to them.
const (
	Insert Kind = 1
	Modify Kind = 2
	Delete Kind = 3
)

// String returns P4Runtime's name of the kind.
func (k Kind) String() string { return [...]string{"", "INSERT", "MODIFY", "DELETE"}[k] }

// An Update is a change of one entry in a switch. The entry must not be changed once it is part of an Update.
type Update struct {
	Kind  Kind
	Entry *Entry
}
