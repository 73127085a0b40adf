package p4rtserver

import "time"

// atDeadlines calls due, which does what is due and returns the time until the next deadline if there is one, at every deadline and whenever
// it is woken, until stop is closed.
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
