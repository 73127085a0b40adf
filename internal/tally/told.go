package tally

import "sync"

// told collects the notifications of the collector until the sampler takes them.
type told struct {
	kick chan struct{} // has room for one token, which means that names is not empty

	mu    sync.Mutex // guards names
	names map[string]bool
}

// tell implements telemetry.Config.OnUpdate. It must not lock Tally.mu, because the collector calls it while it holds a lock that
// Tally.Read needs.
func (t *told) tell(name string, changed bool) {
	t.mu.Lock()
	if t.names == nil {
		t.names = make(map[string]bool)
	}
	t.names[name] = t.names[name] || changed
	t.mu.Unlock()
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// take returns the switches that have news by name, and whether more than a counter has changed.
func (t *told) take() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.names
	t.names = nil
	return all
}
