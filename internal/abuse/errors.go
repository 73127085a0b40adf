package abuse

import "errors"

var (
	// ErrConfig means that a Config is invalid.
	ErrConfig = errors.New("invalid configuration of the watch on port 25")
	// ErrKey means that the file with the key cannot be read or written.
	ErrKey = errors.New("the key of the pseudonyms")
	// ErrSnapshot means that the file with the activity cannot be read or written.
	ErrSnapshot = errors.New("the activity of lines")
	// ErrUnknownID means that no line has an ID. The line has left the inventory, or the key was replaced.
	ErrUnknownID = errors.New("unknown pseudonym")
	// ErrWebhook means that a webhook is configured wrongly, or that the receiver did not accept a message.
	ErrWebhook = errors.New("webhook")
)
