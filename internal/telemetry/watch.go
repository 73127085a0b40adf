package telemetry

import "sync"

// watchers holds the functions that are called on each change. The zero value is ready to use.
type watchers struct {
	mu  sync.Mutex // guards set
	set map[*func()]struct{}
}

// add registers a function, calls it once, and returns a function that removes it.
func (w *watchers) add(changed func()) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = make(map[*func()]struct{})
	}
	w.set[&changed] = struct{}{}
	changed()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.set, &changed)
	}
}

func (w *watchers) call() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for changed := range w.set {
		(*changed)()
	}
}
