package login

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits on signed reports.
const (
	// MaxAge is the largest age of a signed report. MaxAhead is how much the clock of its sender may be ahead.
	MaxAge, MaxAhead = time.Minute, 5 * time.Second
	// MaxRemembered is the largest number of signed reports in MaxAge+MaxAhead. It allows 3,000 a second, and takes 16 MB.
	MaxRemembered = 200_000
)

var (
	// ErrSignature is returned for a report whose signature is not by the key.
	ErrSignature = errors.New("wrong signature")
	// ErrReplay is returned for a signed report that was received before, or is too old to know.
	ErrReplay = errors.New("replayed report")
	// ErrBusy is returned if there are MaxRemembered reports.
	ErrBusy = errors.New("too many reports")
)

// SignatureHeader is the HTTP header with a report's signature: the HMAC-SHA256 (RFC 2104) of the body in Base64.
const SignatureHeader = "X-Wforce-Signature"

// Signed verifies the signature of a report. It returns ErrSignature if the signature is wrong.
func Signed(body []byte, signature string, key []byte) error {
	got, err := base64.StdEncoding.DecodeString(signature)
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	if err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return fmt.Errorf("%w: the header %s must have the HMAC-SHA256 of the body in Base64, by the secret of this client", ErrSignature, SignatureHeader)
	}
	return nil
}

// Replays recognises reports that were received before. Its methods are safe for concurrent use. It forgets all reports when the process ends, so
// it refuses reports from before its creation.
type Replays struct {
	since time.Time
	most  int

	mu   sync.Mutex // guards the fields below
	now  map[[sha256.Size]byte]struct{}
	old  map[[sha256.Size]byte]struct{}
	turn time.Time // when now was begun; what is in old is older than that
}

// NewReplays returns a Replays that knows no reports at the time now.
func NewReplays(now time.Time) *Replays {
	return &Replays{
		since: now, most: MaxRemembered, turn: now,
		now: make(map[[sha256.Size]byte]struct{}), old: make(map[[sha256.Size]byte]struct{}),
	}
}

// Fresh remembers a signed report at the time now. It returns ErrReplay if the report was received before, if it does not say when the login
// happened, or if that is too long ago; and ErrBusy if there are too many reports.
func (r *Replays) Fresh(body []byte, at, now time.Time) error {
	switch age := now.Sub(at); {
	case at.IsZero():
		return fmt.Errorf(`%w: it has no time: the key "t" must say when the login happened`, ErrReplay)
	case age > MaxAge:
		return fmt.Errorf("%w: it is older than %v", ErrReplay, MaxAge)
	case age < -MaxAhead:
		return fmt.Errorf("%w: its time is %v ahead, and at most %v are allowed; compare the clocks", ErrReplay, -age.Round(time.Second), MaxAhead)
	case at.Before(r.since):
		return fmt.Errorf("%w: it is older than this process, which cannot know it", ErrReplay)
	}
	sum := sha256.Sum256(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch since := now.Sub(r.turn); {
	case since > 2*(MaxAge+MaxAhead):
		clear(r.old)
		clear(r.now)
		r.turn = now
	case since > MaxAge+MaxAhead:
		r.old, r.now = r.now, r.old
		clear(r.now)
		r.turn = now
	}
	_, inNow := r.now[sum]
	if _, inOld := r.old[sum]; inNow || inOld {
		return fmt.Errorf("%w: it was received before", ErrReplay)
	}
	if len(r.now) >= r.most {
		return fmt.Errorf("%w: %d in %v, which is the limit", ErrBusy, r.most, MaxAge+MaxAhead)
	}
	r.now[sum] = struct{}{}
	return nil
}

// Forget makes a report fresh again, because it was not acknowledged and its sender will repeat it.
func (r *Replays) Forget(body []byte) {
	sum := sha256.Sum256(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.now, sum)
	delete(r.old, sum)
}
