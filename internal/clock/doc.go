// Package clock compares the clocks of the controllers, and decides whether a controller may put dates in force according to its own clock.
//
// A wall clock can be wrong. It can be set by hand, stepped by NTP, restored with a virtual machine, or initialised from a real-time clock
// that shows another time zone. A phase that begins at a wrong time blocks mail, so a controller trusts its wall clock only while the clock
// agrees with all of the following:
//
// - the time since the clock was last read, measured by a monotonic clock;
//
// - the time that the store has recorded, which may be from before a restart;
//
// - the clocks of the other controllers.
//
// A controller whose clock is in doubt holds dates. Phases and exemptions in force stay in force, and no further date takes effect. The
// hold ends when the clock agrees again, when most other controllers agree with it, or when an operator confirms the clock.
//
// The package does not depend on policies or switches. Clock holds the state and the rules. Keeper compares a Clock with the other clocks
// through the store.
package clock
