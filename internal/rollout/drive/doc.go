// Package drive carries a rollout out. Every controller publishes what it counts on its switches while a rollout runs. One of the controllers owns the
// rollout: it puts the phase in force ring by ring, observes, and stores each new state before it acts on it. If that controller dies, another one takes
// the rollout over.
//
// Package rollout decides; this package only does what the stored record says.
package drive
