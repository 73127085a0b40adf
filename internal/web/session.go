package web

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"op25b/internal/auth"
)

// These are the limits of sign-ins.
const (
	// maxSessions is the largest number of concurrent sign-ins. A new sign-in above the limit signs out the least recently used one.
	maxSessions = 1024
	// idleFor is the time without a request after which a sign-in ends, which is a shift. lastsFor is the longest duration of a sign-in,
	// which is a day.
	idleFor  = 8 * time.Hour
	lastsFor = 24 * time.Hour
)

// A session is the sign-in of one person in one browser. A caller who is identified by a client certificate or the loopback address has a
// session without a token, because forms need its csrf value.
type session struct {
	token       string       // the bearer token of the person's API calls; empty if something else identifies the caller
	person      *auth.Person // the person whom the OpenID Provider has authenticated; nil if something else identifies the caller
	csrf        string       // the value that every form must repeat
	begun, used time.Time
}

// sessions holds the sign-ins by their cookie values.
type sessions struct {
	now func() time.Time

	mu  sync.Mutex // guards all
	all map[string]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, all: make(map[string]*session)}
}

// begin returns a new session and its id. token and person may be empty. Each sign-in has a new id, so that nobody can prepare a session for
// somebody else.
func (s *sessions) begin(token string, person *auth.Person) (id string, new *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for key, x := range s.all {
		if x.over(now) {
			delete(s.all, key)
		}
	}
	if len(s.all) >= maxSessions {
		oldest := ""
		for key, x := range s.all {
			if oldest == "" || x.yieldsTo(s.all[oldest]) {
				oldest = key
			}
		}
		delete(s.all, oldest)
	}
	id, new = rand.Text(), &session{token: token, person: person, csrf: rand.Text(), begun: now, used: now}
	s.all[id] = new
	return id, new
}

// yieldsTo reports whether x ends before other if there are too many sessions. A session that is not a sign-in ends first, because it has only a
// csrf value, and a program that keeps no cookies begins one with each request. Of two alike, the least recently used one ends first.
func (x *session) yieldsTo(other *session) bool {
	if mine, its := x.signIn(), other.signIn(); mine != its {
		return its
	}
	return x.used.Before(other.used)
}

// signIn reports whether the session identifies its person.
func (x *session) signIn() bool { return x.token != "" || x.person != nil }

func (x *session) over(now time.Time) bool {
	return now.Sub(x.used) > idleFor || now.Sub(x.begun) > lastsFor
}

// find returns the session of a request, or nil if there is none.
func (s *sessions) find(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.all[cookie.Value]
	if x == nil || x.over(s.now()) {
		delete(s.all, cookie.Value)
		return nil
	}
	x.used = s.now()
	return x
}

// end ends the session of a request.
func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, cookie.Value)
	}
}

// cookieName returns the name of the session cookie. A cookie with the prefix __Host- can only be set by this host over TLS (RFC 6265bis
// section 4.1.3.2).
func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-op25b"
	}
	return "op25b"
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

// allows reports whether a form repeats the session's csrf value.
func (x *session) allows(r *http.Request) bool {
	return x != nil && subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(x.csrf)) == 1
}
