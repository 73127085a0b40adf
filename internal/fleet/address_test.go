package fleet

import (
	"testing"

	"op25b/internal/store"
)

// The addresses of a controller survive the form in which they are stored. Unknown words and the form of earlier versions are read too.
func TestAddresses(t *testing.T) {
	for text, want := range map[string]Addresses{
		"":                                      {},
		"192.0.2.10:2525":                       {API: "192.0.2.10:2525"},
		"192.0.2.10:2525 gnmi=192.0.2.10:9339":  {API: "192.0.2.10:2525", GNMI: "192.0.2.10:9339"},
		"[::1]:2525 gnmi=[::1]:9339 gnmi-plain": {API: "[::1]:2525", GNMI: "[::1]:9339", GNMIPlain: true},
		"192.0.2.10:2525 page=https://noc-1.isp.example:2580": {API: "192.0.2.10:2525", Page: "https://noc-1.isp.example:2580"},
	} {
		if got := AddressesOf(store.Member{Value: text}); got != want || got.String() != text {
			t.Errorf("%q: %+v and %q, want %+v", text, got, got.String(), want)
		}
	}
	later := AddressesOf(store.Member{Value: "192.0.2.10:2525 region=east gnmi=192.0.2.10:9339"})
	if want := (Addresses{API: "192.0.2.10:2525", GNMI: "192.0.2.10:9339"}); later != want {
		t.Errorf("of a later version: %+v, want %+v", later, want)
	}
}
