// Package clock says what time it is for a fleet of controllers, and whether a controller may put dates in force by its own clock.
//
// A wall clock can be wrong: set by hand, stepped by NTP, restored with a virtual machine, or read from a real-time clock in another zone. A
// phase that begins by its date stops mail, so a controller trusts its wall clock only as long as nothing speaks against it:
//
//   - the time that has gone by since the clock was last read, by a clock that nobody sets;
//   - the time that the store has recorded, also before a restart;
//   - the clocks of the other controllers.
//
// A controller whose clock is in doubt holds dates: what is in force stays in force, and no date is put in force by it until its clock
// agrees again, most of the other controllers agree with it, or an operator confirms it.
//
// The package knows no policy and no switch. Clock is the state and its rules; Keep compares it with the others through the store.
package clock
