package policy

// Names returns the names of the items in a list, in order.
func Names[T interface{ name() string }](list []T) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = item.name()
	}
	return out
}

// byName returns the item with the given name, or nil.
func byName[T interface{ name() string }](list []T, name string) *T {
	for i := range list {
		if list[i].name() == name {
			return &list[i]
		}
	}
	return nil
}

func (g LineGroup) name() string { return g.Name }
func (s Service) name() string   { return s.Name }
func (r Remote) name() string    { return r.Name }
func (p Phase) name() string     { return p.Name }
func (l Lease) name() string     { return l.Name }
func (r PhaseRule) name() string { return r.Name }
func (s Switch) name() string    { return s.Name }
func (p Port) name() string      { return p.Name }
func (l Line) name() string      { return l.Name }
func (l Leg) name() string       { return string(l) }
