package api

import (
	"net/http"

	"op25b/internal/auth"
)

// IdentifyOf returns a function that identifies the caller of an HTTP request in the same way as the API, for a page on another listener.
// handler must be the result of New. The function returns an error that wraps auth.ErrUnknown if the caller cannot be authenticated.
func IdentifyOf(handler http.Handler) func(*http.Request) (auth.Caller, error) {
	g := handler.(*door).guard
	return func(r *http.Request) (auth.Caller, error) { return g.identify(connectionOf(r), r.Header) }
}
