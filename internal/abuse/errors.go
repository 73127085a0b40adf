package abuse

import "errors"

var (
	// ErrConfig is returned if a Config is invalid.
	ErrConfig = errors.New("invalid configuration of the watch on port 25")
	// ErrKey is returned if the file with the key cannot be read or written.
	ErrKey = errors.New("the key of the pseudonyms")
	// ErrSnapshot is returned if the file with the activity cannot be read or written.
	ErrSnapshot = errors.New("the activity of lines")
	// ErrUnknownID is returned if no line has the given ID. The line has left the inventory, or the key was
	// replaced.
	ErrUnknownID = errors.New("unknown pseudonym")
	// ErrWebhook is returned if a webhook is configured wrongly, or if the receiver did not accept a
	// message.
	ErrWebhook = errors.New("webhook")
)
