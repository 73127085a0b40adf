package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"op25b/internal/controller"
	"op25b/internal/secretfile"
	"op25b/internal/subscriber/accounting"
	"op25b/internal/subscriber/register"
)

// radiusOptions are the flags of op25b serve about sessions.
type radiusOptions struct {
	listen  string
	clients string
	key     string
}

func (o *radiusOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "radius", "", "address to receive RADIUS accounting on, such as 192.0.2.10:1813; by default it is not received")
	f.StringVar(&o.clients, "radius-clients", "", "YAML file with the access servers that may send RADIUS accounting, and the files of their secrets")
	f.StringVar(&o.key, "session-key", "", "file with the key that encrypts the sessions in the store, the same for all controllers; by default session.key in --data-dir, created if it is missing")
}

// sessions returns the settings of sessions. dir is the data directory; it is empty if the store is an etcd cluster.
func (o *radiusOptions) sessions(dir string, log *zap.Logger) (s controller.Sessions, err error) {
	switch {
	case (o.listen == "") != (o.clients == ""):
		return s, errors.New("--radius and --radius-clients: give both or neither")
	case o.listen != "" && o.key == "" && dir == "":
		return s, errors.New("--radius: with --etcd, give --session-key FILE, the same for all controllers")
	}
	create := false
	if o.key == "" && dir != "" {
		o.key, create = filepath.Join(dir, "session.key"), true
	}
	if o.key == "" {
		return s, nil
	}
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return s, fmt.Errorf("--data-dir: %w", err)
		}
	}
	key, err := register.OpenKey(o.key, create)
	if err != nil {
		return s, fmt.Errorf("--session-key: %w", err)
	}
	if text := secretfile.Readable("session key", o.key); text != "" {
		log.Warn(text)
	}
	s = controller.Sessions{Key: &key, Radius: o.listen}
	if o.clients != "" {
		var warnings []string
		if s.Clients, warnings, err = accounting.OpenClients(o.clients); err != nil {
			return s, fmt.Errorf("--radius-clients: %w", err)
		}
		for _, text := range warnings {
			log.Warn(text)
		}
	}
	return s, nil
}
