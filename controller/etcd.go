package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"op25b/internal/etcd"
	"op25b/internal/tlsfiles"
)

func newEtcd() *cobra.Command {
	var o etcd.Config
	var cluster string
	var insecure bool
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "run a member of a small etcd cluster, for a site that has none",
		Long: `Run etcd as one member of a cluster that several controllers share. A cluster of three members survives the loss of one, a cluster of
five the loss of two. A single controller needs no cluster: op25b serve --data-dir embeds etcd.

Without certificates all traffic is plain text, and every host that reaches the addresses can change everything. Addresses other than
loopback then require --insecure.`,
		Example: `  op25b etcd --name a --data-dir /var/lib/op25b-etcd --listen 192.0.2.1:2379 --listen-peer 192.0.2.1:2380 \
    --initial-cluster a=192.0.2.1:2380,b=192.0.2.2:2380,c=192.0.2.3:2380 \
    --tls-cert a.crt --tls-key a.key --tls-ca ca.crt`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	name, _ := os.Hostname()
	f.StringVar(&o.Name, "name", name, "name of this member in --initial-cluster")
	f.StringVar(&o.Dir, "data-dir", "op25b-etcd", "data directory")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:2379", "address for clients")
	f.StringVar(&o.Advertise, "advertise", "", "address that clients dial; by default --listen")
	f.StringVar(&o.ListenPeer, "listen-peer", "127.0.0.1:2380", "address for the other members")
	f.StringVar(&cluster, "initial-cluster", "", "all members and the addresses that the others dial: NAME=HOST:PORT,...; by default this member only")
	f.StringVar(&o.Cert, "tls-cert", "", "PEM file with the certificate for clients and members")
	f.StringVar(&o.Key, "tls-key", "", "PEM file with the private key of --tls-cert")
	f.StringVar(&o.CA, "tls-ca", "", "PEM file with the CA certificates that client and member certificates are verified against")
	f.BoolVar(&insecure, "insecure", false, "serve other hosts in plain text: every host that reaches the addresses can change everything")
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		if o.Cert == "" && !insecure {
			const remedy = "give --tls-cert, --tls-key and --tls-ca, listen on 127.0.0.1, or add --insecure"
			for _, a := range []struct{ name, addr string }{{"etcd for clients", o.Listen}, {"etcd for members", o.ListenPeer}} {
				if err := tlsfiles.Plain(a.name, a.addr, remedy); err != nil {
					return err
				}
			}
		}
		return runEtcd(cmd.Context(), o, cluster, log)
	}
	return cmd
}

func runEtcd(ctx context.Context, o etcd.Config, cluster string, log *zap.Logger) (err error) {
	o.Cluster = map[string]string{o.Name: o.ListenPeer}
	if cluster != "" {
		if o.Cluster, err = etcd.ParseCluster(cluster); err != nil {
			return err
		}
	}
	o.Logger = log
	if !log.Core().Enabled(zapcore.DebugLevel) { // log only warnings and errors, because etcd logs every step at level info
		o.Logger = log.WithOptions(zap.IncreaseLevel(zapcore.WarnLevel))
	}
	err = etcd.Run(ctx, o, func() {
		log.Info("etcd member up", zap.String("name", o.Name), zap.String("listen", o.Listen), zap.Int("members", len(o.Cluster)))
	})
	if err == nil {
		log.Info("etcd member down")
	}
	return err
}
