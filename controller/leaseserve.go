package main

import (
	"fmt"
	"net"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"op25b/internal/api"
	"op25b/internal/controller"
	"op25b/internal/lease/mailserver"
	"op25b/internal/tlsfiles"
)

// leaseOptions are the flags of op25b serve about leases.
type leaseOptions struct {
	listen  string
	clients string
}

func (o *leaseOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "leases", "", "address on which mail servers report logins, with the TLS files of the API; empty means none")
	f.StringVar(&o.clients, "lease-clients", "", "YAML file with the mail servers that may report logins; without it only programs on this host may")
}

// loopback reports whether only programs on this host can reach an address. It returns true for an invalid address, which the listener refuses.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err != nil || tlsfiles.Loopback(host)
}

// leases returns the settings of leases. like is the listener of the API, whose TLS files the listener for reports shares.
func (o *leaseOptions) leases(like api.Listening, log *zap.Logger) (l controller.Leases, err error) {
	switch {
	case o.listen == "" && o.clients == "":
		return l, nil
	case o.listen == "":
		return l, fmt.Errorf("--lease-clients %s: requires --leases with the address for the reports", o.clients)
	case o.clients == "" && !loopback(o.listen):
		return l, fmt.Errorf("--leases %s: mail servers on other hosts must be known: give --lease-clients FILE, or listen on 127.0.0.1", o.listen)
	}
	l.Listening = like
	l.Listening.Addr = o.listen
	if o.clients == "" {
		return l, nil
	}
	var warnings []string
	if l.Clients, warnings, err = mailserver.OpenClients(o.clients); err != nil {
		return l, fmt.Errorf("--lease-clients: %w", err)
	}
	for _, text := range warnings {
		log.Warn(text)
	}
	return l, nil
}
