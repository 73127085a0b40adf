package tally

import (
	"fmt"
	"net"

	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"

	"op25b/internal/policy"
	"op25b/internal/telemetry"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/expiry"
)

// target returns the gNMI target of a switch. gNMI uses the same TLS files as the switch's P4Runtime
// connection.
func (t *Tally) target(sw *policy.Switch) telemetry.Target {
	target := telemetry.Target{Switch: sw.Name, Addr: sw.GNMI, Key: fmt.Sprint(sw.TLS)}
	if !sw.TLS.Used() {
		t.cfg.Certificates.Remove(expiry.GNMI, sw.Name)
		return target
	}
	ends := t.cfg.Certificates.Of(expiry.GNMI, sw.Name)
	target.Key += fmt.Sprintf(" %p", ends) // A switch that was lost and taken back has new certificate ends, which only a new connection provides.
	name := sw.TLS.ServerName
	if host, _, err := net.SplitHostPort(sw.GNMI); name == "" && err == nil {
		name = host // crypto/tls does not pass an IP address to the verification
	}
	files := tlsfiles.Files{
		CA: sw.TLS.CA, Cert: sw.TLS.Cert, Key: sw.TLS.Key, ServerName: name, Ends: ends,
		OnError: func(err error) {
			t.log.Warn("certificates changed and cannot be used", zap.String("gnmi", sw.GNMI), zap.Error(err))
		},
	}
	target.Credentials = func() (credentials.TransportCredentials, error) {
		cfg, err := tlsfiles.Client(files)
		if err != nil {
			return nil, fmt.Errorf("TLS to %s: %w", sw.GNMI, err)
		}
		return credentials.NewTLS(cfg), nil
	}
	return target
}
