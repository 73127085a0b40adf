package main

import (
	"context"
	"fmt"
	"os"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/agent"
	"op25b/internal/grpcserve"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/softswitch"
	"op25b/internal/tlsfiles"
)

type agentOptions struct {
	deviceID   uint64
	p4runtime  string
	gnmi       string
	interfaces []string
	tls        tlsfiles.Files
	insecure   bool
	limits     serviceLimits
}

func newAgent() *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "serve gNMI for a switch that has none, such as bmv2",
		Long: `Serve gNMI for a switch that has P4Runtime but no gNMI. The agent reads the pipeline's counters over P4Runtime, without an election id,
and serves them as OpenConfig ACL counters. Interface counters come from the kernel, for ports that are Linux interfaces of this host.`,
		Example: `  op25b agent --p4runtime 127.0.0.1:9559 --gnmi 127.0.0.1:9339 -i 1@veth0 -i 2@veth2`,
		Args:    exactly(0),
	}
	cmd.Flags().Uint64Var(&o.deviceID, "device-id", 1, "P4Runtime device id of the switch")
	cmd.Flags().StringVar(&o.p4runtime, "p4runtime", "127.0.0.1:9559", "P4Runtime address of the switch")
	cmd.Flags().StringVar(&o.gnmi, "gnmi", "127.0.0.1:9339", "address to serve gNMI on")
	cmd.Flags().StringArrayVarP(&o.interfaces, "interface", "i", nil, "port of the switch: PORT@INTERFACE, or PORT@dataplane:NAME if it is not a Linux interface; may be repeated")
	cmd.Flags().StringVar(&o.tls.Cert, "tls-cert", "", "PEM file with the server certificate; without it gNMI is plain text")
	cmd.Flags().StringVar(&o.tls.Key, "tls-key", "", "PEM file with the private key of --tls-cert")
	cmd.Flags().StringVar(&o.tls.CA, "tls-client-ca", "", "PEM file with the CA certificates that client certificates are verified against; with it a client certificate is required")
	cmd.Flags().BoolVar(&o.insecure, "insecure", false, "serve other hosts in plain text: every host that reaches the agent can read everything")
	o.limits.add(cmd, softswitch.DefaultGNMIMessage, softswitch.DefaultGNMIElements)
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		return runAgent(cmd.Context(), o, log)
	}
	return cmd
}

func runAgent(ctx context.Context, o agentOptions, log *zap.Logger) error {
	attachments, err := parseAttachments(o.interfaces)
	if err != nil {
		return err
	}
	if len(attachments) == 0 {
		return fmt.Errorf("-i is missing: give at least one port as PORT@INTERFACE, such as -i 1@veth0")
	}
	if err := o.limits.check(); err != nil {
		return err
	}
	ports := map[uint32]string{}
	kernel := agent.Links{}
	for _, a := range attachments {
		if a.kind == pcapLink {
			return fmt.Errorf("-i %d@pcap:%s: only op25b switch has pcap ports; must be PORT@INTERFACE or PORT@dataplane:NAME", a.port, a.name)
		}
		ports[a.port] = a.name
		if a.kind == linuxLink {
			kernel[a.name] = true
		}
	}
	if o.tls.Cert == "" && !o.insecure {
		if err := tlsfiles.Plain("gNMI", o.gnmi, plainRemedy); err != nil {
			return err
		}
	}
	secure, err := serverTLS(o.tls, log)
	if err != nil {
		return err
	}
	listener, err := grpcserve.Listen("gNMI", o.gnmi)
	if err != nil {
		return err
	}
	defer listener.Close()
	reader, err := p4rt.DialReader(ctx, p4rt.Config{Addr: o.p4runtime, DeviceID: o.deviceID, Logger: log})
	if err != nil {
		return err
	}
	defer reader.Close()
	source, err := agent.New(reader, agent.Config{Ports: ports, Links: kernel, Hostname: hostname(log), Version: "op25b agent " + version, Logger: log})
	if err != nil {
		return err
	}
	gnmi, err := openconfig.NewServer(source, openconfig.Options{Logger: log})
	if err != nil {
		return err
	}
	server, err := grpcserve.New(grpcserve.Options{
		Name: "gNMI", TLS: secure, Limits: o.limits.limits(), Budget: grpcserve.NewBudget(int64(o.limits.budget)), Logger: log,
	})
	if err != nil {
		return err
	}
	gpb.RegisterGNMIServer(server, gnmi)
	stop := context.AfterFunc(ctx, server.Close)
	defer stop()
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		// Learn now whether the switch has a program: the counters of a program that is pushed later begin then, and boot-time is known. An
		// error is ignored, because the first subscriber gets it.
		_, _ = source.Snapshot(following, 0)
		if err := source.Follow(following); err != nil {
			log.Warn("interface-transitions are no longer counted", zap.Error(err))
		}
	}()
	defer func() { cancel(); <-followed }()
	log.Info("agent up", zap.String("p4runtime", o.p4runtime), zap.Stringer("gnmi", listener.Addr()), zap.Int("ports", len(ports)))
	server.Serve(listener)
	log.Info("agent down")
	return nil
}

// hostname returns the name of this host, or an empty string if it is unknown.
func hostname(log *zap.Logger) string {
	name, err := os.Hostname()
	if err != nil {
		log.Warn("gNMI serves no hostname", zap.Error(err))
	}
	return name
}
