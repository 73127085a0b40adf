package tally

import "sync"

// told collects the notifications of the collector until the sampler takes them.
type told struct {
	kick chan struct{} // has room for one token: names is not empty

	mu    sync.Mutex // guards names
	names map[string]bool
}

// tell implements telemetry.Config.OnUpdate. It must not take Tally.mu, because the collector calls it with a lock that Tally.Read needs.
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

// take returns the names of the switches that have news, and whether anything but a counter has changed.
func (t *told) take() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.names
	t.names = nil
	return all
}
