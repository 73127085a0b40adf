package policy

// names are the names of a list's items, in order.
func names[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = name(item)
	}
	return out
}

// byName is the item of a name, or nil.
func byName[T any](list []T, nameOf func(T) string, name string) *T {
	for i := range list {
		if nameOf(list[i]) == name {
			return &list[i]
		}
	}
	return nil
}

func (g LineGroup) name() string { return g.Name }
func (s Service) name() string   { return s.Name }
func (r Remote) name() string    { return r.Name }
func (p Phase) name() string     { return p.Name }
func (r PhaseRule) name() string { return r.Name }
func (s Switch) name() string    { return s.Name }
func (p Port) name() string      { return p.Name }
func (l Line) name() string      { return l.Name }
func (l Leg) name() string       { return string(l) }
