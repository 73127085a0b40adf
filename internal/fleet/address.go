package fleet

import (
	"context"
	"strings"

	"op25b/internal/store"
)

// Addresses are the addresses that a controller publishes to the other controllers, as the value of its store.Member.
type Addresses struct {
	API  string // host:port
	GNMI string // host:port of the northbound gNMI; empty if there is none
	// GNMIPlain means that the northbound gNMI has no TLS.
	GNMIPlain bool
	Page      string // URL of the NOC's page, such as https://noc-1.isp.example:2580; empty if there is none, or none that others can reach
}

// The words after the address of the API. A controller ignores words that it does not know, so that later versions can add some.
const (
	gnmiWord  = "gnmi="
	plainWord = "gnmi-plain"
	pageWord  = "page="
)

// String returns the form in which the addresses are stored: "192.0.2.10:2525 gnmi=192.0.2.10:9339".
func (a Addresses) String() string {
	text := a.API
	if a.GNMI != "" {
		text += " " + gnmiWord + a.GNMI
	}
	if a.GNMIPlain {
		text += " " + plainWord
	}
	if a.Page != "" {
		text += " " + pageWord + a.Page
	}
	return text
}

// AddressesOf returns the addresses of a member. A member of an earlier version has published only the address of its API.
func AddressesOf(m store.Member) Addresses {
	var a Addresses
	for i, word := range strings.Fields(m.Value) {
		addr, isGNMI := strings.CutPrefix(word, gnmiWord)
		page, isPage := strings.CutPrefix(word, pageWord)
		switch {
		case i == 0:
			a.API = word
		case isGNMI:
			a.GNMI = addr
		case isPage:
			a.Page = page
		case word == plainWord:
			a.GNMIPlain = true
		}
	}
	return a
}

// WatchOwners sends the owners of all switches that have one, and sends them again after every change. A slow receiver gets only the newest
// list. The channel is closed when ctx ends or the store is closed.
func WatchOwners(ctx context.Context, s *store.Store) <-chan []store.Holding {
	return s.WatchHoldings(ctx, switchKind)
}
