package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// The headers of a signed message.
const (
	// TimestampHeader has the time of the attempt in seconds since 1970.
	TimestampHeader = "Op25b-Timestamp"
	// SignatureHeader has "sha256=" followed by the HMAC-SHA256, in hexadecimal, of the timestamp, a full stop and the body.
	SignatureHeader = "Op25b-Signature"
)

// MaxAge is the largest age of a signed message. MaxAhead is how much the clock of its sender may be ahead.
const MaxAge, MaxAhead = 5 * time.Minute, time.Minute

var (
	// ErrSignature is returned for a message whose signature is not by the key.
	ErrSignature = errors.New("wrong signature")
	// ErrTimestamp is returned for a message whose timestamp is missing, too old or ahead.
	ErrTimestamp = errors.New("timestamp out of range")
)

// Sign returns the value of SignatureHeader.
func Sign(key []byte, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, timestamp+".")
	h.Write(body)
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}

// Timestamp returns the time of the value of TimestampHeader. It returns ErrTimestamp if the value is not a number of seconds, or is not in the MaxAge
// before now or the MaxAhead after it.
func Timestamp(value string, now time.Time) (time.Time, error) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || len(value) > 12 {
		return time.Time{}, fmt.Errorf("%w: the header %s must have the time in seconds since 1970", ErrTimestamp, TimestampHeader)
	}
	at := time.Unix(seconds, 0).UTC()
	switch age := now.Sub(at); {
	case age > MaxAge:
		return time.Time{}, fmt.Errorf("%w: the message is older than %v; sign each attempt anew", ErrTimestamp, MaxAge)
	case age < -MaxAhead:
		return time.Time{}, fmt.Errorf("%w: the message is %v ahead, and at most %v are allowed; compare the clocks", ErrTimestamp, -age.Round(time.Second), MaxAhead)
	}
	return at, nil
}

// Verify verifies the signature of a message. It returns ErrSignature if the signature is wrong.
func Verify(key []byte, timestamp, signature string, body []byte) error {
	if !hmac.Equal([]byte(signature), []byte(Sign(key, timestamp, body))) {
		return fmt.Errorf("%w: the header %s must have sha256= and the HMAC-SHA256 of the timestamp, a full stop and the body in hexadecimal, by the secret of this client", ErrSignature, SignatureHeader)
	}
	return nil
}
