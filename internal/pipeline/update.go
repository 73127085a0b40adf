package pipeline

// A Kind is the kind of an Update.
type Kind uint8

// The kinds of updates, with the numbers of P4Runtime. Modify also applies to default entries, which always exist.
const (
	Insert Kind = 1
	Modify Kind = 2
	Delete Kind = 3
)

// String returns the name of the kind in P4Runtime.
func (k Kind) String() string { return [...]string{"", "INSERT", "MODIFY", "DELETE"}[k] }

// An Update is one change of a switch. The entry must not be changed after it was put in an Update.
type Update struct {
	Kind  Kind
	Entry *Entry
}
