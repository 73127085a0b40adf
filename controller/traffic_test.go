package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	bmv1 "op25b/proto/bm/v1"
)

// mail DATAPLANE DEVICE PORT VLAN MAC TO N sends N new mail connections of a subscriber to port 25 of TO. DATAPLANE is the packet service
// of a switch, PORT a number, VLAN 0 for untagged, and MAC the subscriber's address.
func mail(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 7 {
		ts.Fatalf("usage: mail DATAPLANE DEVICE PORT VLAN MAC TO N")
	}
	ts.Check(sendMail(args))
}

func sendMail(args []string) error {
	var n [4]uint64
	for i, arg := range []string{args[1], args[2], args[3], args[6]} {
		var err error
		if n[i], err = strconv.ParseUint(arg, 10, 32); err != nil {
			return err
		}
	}
	mac, err := net.ParseMAC(args[4])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+args[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := bmv1.NewDataplaneInterfaceClient(conn).PacketStream(ctx)
	if err != nil {
		return err
	}
	for i := range n[3] {
		frame, err := syn(mac, uint16(n[2]), net.ParseIP(args[5]), layers.TCPPort(1024+i))
		if err == nil {
			err = stream.Send(&bmv1.PacketStreamRequest{DeviceId: n[0], Port: uint32(n[1]), Packet: frame})
		}
		if err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for { // the switch ends the stream after the last frame
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// syn returns the first frame of a connection to port 25.
func syn(mac net.HardwareAddr, vlan uint16, to net.IP, from layers.TCPPort) ([]byte, error) {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{192, 0, 2, 11}, DstIP: to}
	tcp := &layers.TCP{SrcPort: from, DstPort: 25, SYN: true, Window: 65535}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	all := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: mac, DstMAC: net.HardwareAddr{2, 0, 0, 0, 2, 1}, EthernetType: layers.EthernetTypeIPv4}}
	if vlan != 0 {
		all[0].(*layers.Ethernet).EthernetType = layers.EthernetTypeDot1Q
		all = append(all, &layers.Dot1Q{VLANIdentifier: vlan, Type: layers.EthernetTypeIPv4})
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(all, ip, tcp)...)
	return b.Bytes(), err
}

// watch PATTERN ARGS... runs op25b with the given arguments until it prints a line that matches the pattern, and then interrupts it.
func watch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: watch PATTERN ARGS...")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	exe, found := lookPath(ts.Getenv("PATH"), "op25b")
	if !found {
		ts.Fatalf("no op25b in PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), append(os.Environ(), "OP25B_SERVER="+ts.Getenv("OP25B_SERVER"), "HOME="+ts.Getenv("HOME"), "TZ=UTC")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	matched := false
	for lines := bufio.NewScanner(out); !matched && lines.Scan(); {
		ts.Logf("%s", lines.Text())
		matched = pattern.MatchString(lines.Text())
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if !matched {
		ts.Fatalf("op25b %s printed no line that matches %s", strings.Join(args[1:], " "), args[0])
	}
}
