package tlsfiles

import (
	"errors"
	"testing"
)

func TestPlain(t *testing.T) {
	for addr, exposed := range map[string]bool{
		"": false, "nonsense": false, "127.0.0.1:1": false, "localhost:1": false, "[::1]:1": false, "127.8.9.10:1": false, "[::ffff:127.0.0.1]:1": false,
		":1": true, "0.0.0.0:1": true, "[::]:1": true, "192.0.2.1:1": true, "switch.example:1": true,
	} {
		if err := Plain("gNMI", addr, "say --insecure"); errors.Is(err, ErrExposed) != exposed {
			t.Errorf("%q: %v, want exposed %v", addr, err, exposed)
		}
	}
	err := Plain("gNMI", ":9339", "give a certificate, or add --insecure")
	if want := "gNMI on :9339: plain text on an address that other hosts can reach: give a certificate, or add --insecure"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
