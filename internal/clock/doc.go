// Package clock keeps the time of a fleet of controllers, and decides whether a controller may put dates in force by its own clock.
//
// A wall clock can be wrong: set by hand, stepped by NTP, restored with a virtual machine, or read from a real-time clock in another zone.
// A phase that begins by its date stops mail. So a controller trusts its wall clock only while these agree with it:
//
// - the time that has passed since the clock was last read, by a monotonic clock;
//
// - the time that the store has recorded, also before a restart;
//
// - the clocks of the other controllers.
//
// A controller whose clock is in doubt holds dates: what is in force stays in force, and no further date takes effect. The hold ends when
// its clock agrees again, when most other controllers agree with it, or when an operator confirms it.
//
// The package knows no policy and no switch. Clock has the state and its rules; Keeper compares it with the others through the store.
package clock
