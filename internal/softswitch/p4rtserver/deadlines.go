package p4rtserver

import "time"

// atDeadlines calls due at the start, at every deadline and after every wakeup, until stop is closed. due does the work that is due. If
// there is a next deadline, due returns pending as true and the time until the deadline.
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
