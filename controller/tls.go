package main

import (
	"crypto/tls"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/secretfile"
	"op25b/internal/tlsfiles"
)

// warnKey logs a warning if all users of this host can read a private key.
func warnKey(log *zap.Logger, path string) {
	if text := secretfile.Readable("private key", path); text != "" {
		log.Warn(text)
	}
}

// plainRemedy is the advice in the error about a plain-text service that other hosts can reach.
const plainRemedy = "give --tls-cert and --tls-key, listen on 127.0.0.1, or add --insecure"

// serverTLS returns the TLS configuration for the flags --tls-cert, --tls-key and --tls-client-ca. It returns nil for plain text.
func serverTLS(f tlsfiles.Files, log *zap.Logger) (*tls.Config, error) {
	if f.Cert == "" && f.Key == "" && f.CA == "" {
		return nil, nil
	}
	f.OnError = warnTLS(log)
	warnKey(log, f.Key)
	secure, err := tlsfiles.Server(f, f.CA != "")
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key, --tls-client-ca: %w", err)
	}
	return secure, nil
}

// addSwitchTLS adds the TLS flags of a command that dials a switch.
func addSwitchTLS(cmd *cobra.Command, f *tlsfiles.Files) {
	cmd.Flags().StringVar(&f.CA, "tls-ca", "", "PEM file with the CA certificates that the switch's certificate is verified against; without it the connection is plain text")
	cmd.Flags().StringVar(&f.Cert, "tls-cert", "", "PEM file with the client certificate, for a switch that requires one")
	cmd.Flags().StringVar(&f.Key, "tls-key", "", "PEM file with the private key of --tls-cert")
	cmd.Flags().StringVar(&f.ServerName, "tls-server-name", "", "name in the switch's certificate; by default the dialed host")
}

// switchTLS returns the TLS configuration for the flags of addSwitchTLS. It returns nil for plain text.
func switchTLS(f tlsfiles.Files, log *zap.Logger) (*tls.Config, error) {
	if f.CA+f.Cert+f.Key+f.ServerName == "" {
		return nil, nil
	}
	if f.CA == "" {
		return nil, fmt.Errorf("--tls-cert, --tls-key and --tls-server-name require --tls-ca")
	}
	f.OnError = warnTLS(log)
	warnKey(log, f.Key)
	secure, err := tlsfiles.Client(f)
	if err != nil {
		return nil, fmt.Errorf("--tls-ca, --tls-cert, --tls-key: %w", err)
	}
	return secure, nil
}

func warnTLS(log *zap.Logger) func(error) {
	return func(err error) { log.Warn("changed certificates not loaded", zap.Error(err)) }
}
