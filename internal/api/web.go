package api

import (
	"context"
	"net/http"

	"op25b/internal/auth"
)

type personKey struct{}

// As returns a context in which calls of the handler in this process are made by a person whom an OpenID Provider has authenticated. The person
// has the role that the current access file gives to the person's groups. Callers from outside this process cannot make such calls.
func As(ctx context.Context, p auth.Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// IdentifyOf returns a function that identifies the caller of an HTTP request in the same way as the API, for a page on another listener.
// handler must be the result of New. The function returns an error that wraps auth.ErrUnknown if the caller cannot be authenticated.
func IdentifyOf(handler http.Handler) func(*http.Request) (auth.Caller, error) {
	g := handler.(*door).guard
	return func(r *http.Request) (auth.Caller, error) { return g.identify(connectionOf(r), r.Header) }
}
