package p4rtserver

import "time"

// atDeadlines calls due at every deadline and whenever it is woken, until stop is closed. due does the work and returns the time until the
// next deadline, if there is one.
func atDeadlines(stop, wake <-chan struct{}, due func() (wait time.Duration, pending bool)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var tick <-chan time.Time
		if wait, pending := due(); pending {
			timer.Reset(wait)
			tick = timer.C
		}
		select {
		case <-tick:
		case <-wake:
		case <-stop:
			return
		}
	}
}
