package openid

import (
	"errors"
	"fmt"
)

var (
	// ErrNoProvider is returned if the access file has no OpenID Provider.
	ErrNoProvider = errors.New("the access file has no OpenID Provider")
	// ErrUnreachable is returned if the provider does not answer in time or not in the form of OpenID Connect.
	ErrUnreachable = errors.New("the OpenID Provider cannot be used")
	// ErrBusy is returned if too many sign-ins are in progress.
	ErrBusy = errors.New("too many sign-ins are in progress")
	// ErrStart is returned if an answer does not belong to a sign-in that this browser began in the last minutes. The person has to begin again.
	ErrStart = errors.New("the answer belongs to no sign-in of this browser")
	// ErrAnswer is returned if the provider's answer does not prove who the person is.
	ErrAnswer = errors.New("the answer of the OpenID Provider is not valid")
)

// A RefusedError is returned if the provider did not sign the person in.
type RefusedError struct {
	// Code is the provider's error code, such as "access_denied" (RFC 6749 section 4.1.2.1).
	Code string
}

// Error returns the code in a sentence.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the OpenID Provider refused the sign-in: %s", e.Code)
}

var _ error = (*RefusedError)(nil)
