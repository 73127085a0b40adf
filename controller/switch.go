package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/native"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
	"op25b/internal/tlsfiles"
	"op25b/internal/wire"
)

type switchOptions struct {
	deviceID   uint64
	addrs      softswitch.Addrs
	interfaces []string
	tls        tlsfiles.Files
	insecure   bool
	limits     switchLimits
}

func newSwitch() *cobra.Command {
	var o switchOptions
	cmd := &cobra.Command{
		Use:   "switch",
		Short: "run the embedded switch: P4Runtime, gNMI, and ports on Linux interfaces, gRPC or pcap files",
		Long: `Run the embedded P4 switch. It starts without a program and forwards nothing until a P4Runtime client pushes one. It runs any v1model
program that p4c-bm2-ss compiles.`,
		Example: `  op25b switch --device-id 1 -i 1@veth0 -i 2@veth2
  op25b switch --dataplane 127.0.0.1:9560 -i 1@dataplane:access-1`,
		Args: exactly(0),
	}
	cmd.Flags().Uint64Var(&o.deviceID, "device-id", 1, "P4Runtime device id of the switch")
	cmd.Flags().StringVar(&o.addrs.P4Runtime, "p4runtime", "127.0.0.1:9559", "address to serve P4Runtime on")
	cmd.Flags().StringVar(&o.addrs.GNMI, "gnmi", "127.0.0.1:9339", "address to serve gNMI on; empty means none")
	cmd.Flags().StringVar(&o.addrs.Dataplane, "dataplane", "", "address of the packet service (gRPC, p4.bm.DataplaneInterface); empty means none")
	cmd.Flags().StringArrayVarP(&o.interfaces, "interface", "i", nil, "port: "+attachmentSyntax+"; may be repeated")
	cmd.Flags().StringVar(&o.tls.Cert, "tls-cert", "", "PEM file with the server certificate; without it P4Runtime and gNMI are plain text")
	cmd.Flags().StringVar(&o.tls.Key, "tls-key", "", "PEM file with the private key of --tls-cert")
	cmd.Flags().StringVar(&o.tls.CA, "tls-client-ca", "", "PEM file with the CA certificates that client certificates are verified against; with it a client certificate is required")
	cmd.Flags().BoolVar(&o.insecure, "insecure", false, "serve other hosts in plain text: every host that reaches the switch can change everything")
	o.limits.add(cmd)
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		return runSwitch(cmd.Context(), o, log)
	}
	return cmd
}

func runSwitch(ctx context.Context, o switchOptions, log *zap.Logger) (err error) {
	attachments, err := parseAttachments(o.interfaces)
	if err != nil {
		return err
	}
	if err := o.limits.check(); err != nil {
		return err
	}
	o.limits.keep()
	if err := o.exposed(); err != nil {
		return err
	}
	secure, err := serverTLS(o.tls, log)
	if err != nil {
		return err
	}
	sw, err := softswitch.New(softswitch.Options{
		DeviceID: o.deviceID, Hostname: hostname(log), Version: "op25b " + version, Logger: log, Limits: o.limits.limits(),
		Native: []*engine.Native{native.Native},
	})
	if err != nil {
		return fmt.Errorf("--device-id %d: %w", o.deviceID, err)
	}
	defer func() {
		if closed := sw.Close(); err == nil {
			err = closed
		}
	}()
	for _, a := range attachments {
		if err := a.attach(sw, o.addrs.Dataplane); err != nil {
			return err
		}
	}
	services, err := sw.ListenTLS(o.addrs, secure)
	if err != nil {
		return err
	}
	defer services.Close()
	log.Info("switch up", zap.Uint64("device", o.deviceID), zap.String("p4runtime", services.Addrs.P4Runtime),
		zap.String("gnmi", services.Addrs.GNMI), zap.String("dataplane", services.Addrs.Dataplane), zap.Bool("tls", secure != nil), zap.Int("ports", len(attachments)))
	<-ctx.Done()
	log.Info("switch down")
	return nil
}

// exposed returns an error if a plain-text service listens on an address that other hosts can reach and --insecure is
// not set.
func (o *switchOptions) exposed() error {
	if o.insecure {
		return nil
	}
	if err := tlsfiles.Plain("the packet service", o.addrs.Dataplane, "it replaces cables and has no TLS: listen on 127.0.0.1, or add --insecure"); err != nil {
		return err
	}
	if o.tls.Cert != "" {
		return nil
	}
	for _, s := range []struct{ name, addr string }{{"P4Runtime", o.addrs.P4Runtime}, {"gNMI", o.addrs.GNMI}} {
		if err := tlsfiles.Plain(s.name, s.addr, plainRemedy); err != nil {
			return err
		}
	}
	return nil
}

func (a attachment) attach(sw *softswitch.Switch, dataplane string) error {
	var link wire.Link
	var err error
	switch a.kind {
	case dataplaneLink:
		if dataplane == "" {
			return fmt.Errorf("-i %d@dataplane:%s: the packet service is off; give its address with --dataplane", a.port, a.name)
		}
		return sw.Name(a.port, a.name)
	case pcapLink:
		link, err = wire.OpenPcap(a.name, a.in, a.out)
	default:
		link, err = wire.OpenInterface(a.name)
	}
	if err != nil {
		return fmt.Errorf("-i %d@%s: %w", a.port, a.name, err)
	}
	return sw.Attach(a.port, link)
}
