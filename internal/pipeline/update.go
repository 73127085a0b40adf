package pipeline

// A Kind is what an Update does to an entry.
type Kind uint8

// The kinds of P4Runtime's updates, with its numbers. Modify is also for default entries, which are always there.
const (
	Insert Kind = 1
	Modify Kind = 2
	Delete Kind = 3
)

// String is the kind as P4Runtime calls it.
func (k Kind) String() string { return [...]string{"", "INSERT", "MODIFY", "DELETE"}[k] }

// An Update is one change of a switch. The entry is not changed once it is in an Update.
type Update struct {
	Kind  Kind
	Entry *Entry
}
