package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"op25b/internal/wire"
)

// openTun creates a TUN or TAP device. A read from the file returns a packet that the namespace's stack sends, and a write delivers a packet
// to the stack. The caller must close the file.
func (e *end) openTun(kind uint16) (*os.File, error) {
	var file *os.File
	err := e.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(lineDevice)
		if err == nil {
			request.SetUint16(kind | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("TUN device: %w", err), unix.Close(fd))
		}
		file = os.NewFile(uintptr(fd), lineDevice)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// pump passes everything that it reads to send until the reader is closed at the end of the test. Packets that cannot be sent are lost, as on
// a wire.
func (e *end) pump(read func([]byte) (int, error), closer func() error, send func([]byte)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, wire.MaxFrame)
		for {
			n, err := read(b)
			if err != nil {
				return
			}
			send(b[:n])
		}
	}()
	e.t.Cleanup(func() { _ = closer(); <-ended })
}

// ownFrames creates a TUN or TAP device on top of the wire. pack puts each of the device's packets or frames into a frame of the access form,
// and unpack extracts it.
func ownFrames(e *end, kind uint16, pack func(b []byte) []byte, unpack func(frame []byte) []byte) error {
	tun, err := e.openTun(kind)
	if err != nil {
		return err
	}
	var link wire.Link
	if err := e.do(func() (err error) { link, err = wire.OpenInterface(wan); return err }); err != nil {
		return errors.Join(err, tun.Close())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = link.Serve(context.Background(), func(frame []byte) {
			if b := unpack(frame); b != nil {
				_, _ = tun.Write(b)
			}
		})
	}()
	e.pump(tun.Read, tun.Close, func(b []byte) { _ = link.Send(pack(b)) })
	e.t.Cleanup(func() { _ = link.Close(); <-ended })
	device, err := e.links.LinkByName(lineDevice)
	if err != nil {
		return err
	}
	if kind == unix.IFF_TAP {
		if err := e.links.LinkSetHardwareAddr(device, e.mac()); err != nil {
			return err
		}
	}
	if err := e.links.LinkSetMTU(device, tunnelMTU); err != nil {
		return err
	}
	return e.up(lineDevice)
}

func ownTags(tags ...vlanTag) func(*end) (carrier, error) {
	var between []byte // the bytes between the MAC addresses and the EtherType
	for _, tag := range tags {
		between = binary.BigEndian.AppendUint16(between, uint16(tag.protocol))
		between = binary.BigEndian.AppendUint16(between, uint16(tag.vid))
	}
	return func(e *end) (carrier, error) {
		pack := func(b []byte) []byte { return slices.Concat(b[:12], between, b[12:]) }
		unpack := func(f []byte) []byte {
			if !bytes.HasPrefix(f[12:], between) {
				return nil
			}
			return slices.Concat(f[:12], f[12+len(between):])
		}
		return carrier{device: lineDevice, ethernet: true}, ownFrames(e, unix.IFF_TAP, pack, unpack)
	}
}

// ownPPPoE creates a session that is up on both ends from the start, like kernelPPPoE.
func ownPPPoE(e *end) (carrier, error) {
	const header = 14 + 6 + 2
	head := slices.Concat(e.other().mac(), e.mac(), []byte{0x88, 0x64, 0x11, 0, pppoeSession >> 8, pppoeSession & 0xff})
	pack := func(b []byte) []byte {
		f := binary.BigEndian.AppendUint16(slices.Clone(head), uint16(2+len(b)))
		protocol := uint16(0x0021)
		if b[0]>>4 == 6 {
			protocol = 0x0057
		}
		return append(binary.BigEndian.AppendUint16(f, protocol), b...)
	}
	unpack := func(f []byte) []byte {
		if len(f) < header || !bytes.Equal(f[:6], head[6:12]) || !bytes.Equal(f[12:18], head[12:18]) {
			return nil
		}
		length, protocol := int(binary.BigEndian.Uint16(f[18:])), binary.BigEndian.Uint16(f[20:])
		if length < 2 || 20+length > len(f) || protocol != 0x0021 && protocol != 0x0057 {
			return nil
		}
		return f[header : 20+length]
	}
	return carrier{device: lineDevice}, ownFrames(e, unix.IFF_TUN, pack, unpack)
}

// ownTunnel connects a TUN device to a raw socket of the tunnel's protocol. Therefore the kernel adds the outer headers in this form too. If
// limit is set, they include destination options with the tunnel encapsulation limit.
func ownTunnel(outer, protocol int, limit bool) func(*end) (carrier, error) {
	return func(e *end) (carrier, error) {
		if err := e.onWire(outer); err != nil {
			return carrier{}, err
		}
		network, own, far := fmt.Sprint("ip4:", protocol), e.outer4(), e.other().outer4()
		if outer == 6 {
			network, own, far = fmt.Sprint("ip6:", protocol), e.outer6(), e.other().outer6()
		}
		var raw *net.IPConn
		err := e.do(func() (err error) { raw, err = net.ListenIP(network, &net.IPAddr{IP: own.AsSlice()}); return err })
		if err != nil {
			return carrier{}, fmt.Errorf("raw socket: %w", err)
		}
		if limit {
			err = setDestinationOptions(raw, []byte{0, 0, 4, 1, encapsulationLimit, 1, 1, 0})
		}
		if err != nil {
			return carrier{}, errors.Join(err, raw.Close())
		}
		tun, err := e.openTun(unix.IFF_TUN)
		if err != nil {
			return carrier{}, errors.Join(err, raw.Close())
		}
		to := &net.IPAddr{IP: far.AsSlice()}
		read := func(b []byte) (int, error) {
			n, _, err := raw.ReadFromIP(b)
			return n, err
		}
		e.pump(read, raw.Close, func(b []byte) { _, _ = tun.Write(b) })
		e.pump(tun.Read, tun.Close, func(b []byte) { _, _ = raw.WriteToIP(b, to) })
		device, err := e.links.LinkByName(lineDevice)
		if err != nil {
			return carrier{}, err
		}
		if err := e.links.LinkSetMTU(device, tunnelMTU); err != nil {
			return carrier{}, err
		}
		return carrier{device: lineDevice}, e.up(lineDevice)
	}
}

// setDestinationOptions adds a destination options header to every packet of a socket. The kernel sets the header's next header field.
func setDestinationOptions(conn *net.IPConn, header []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var problem error
	err = raw.Control(func(fd uintptr) {
		problem = unix.SetsockoptString(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DSTOPTS, string(header))
	})
	if err := errors.Join(err, problem); err != nil {
		return fmt.Errorf("destination options: %w", err)
	}
	return nil
}
