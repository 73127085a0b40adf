package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// receiveBuffer is the size in bytes of the kernel's receive buffer, which fills while the switch is busy. It holds about 3,500 frames
	// of 1,500 bytes.
	receiveBuffer = 8 << 20
	// batchLength is the largest number of frames that one system call fetches.
	batchLength = 16
	// superFrame is the size of the largest frame that the kernel delivers: an IP packet of 64 KiB before segmentation, the Ethernet
	// header and the tags.
	superFrame = 1<<16 + ethernetHeader + 2*tagLength

	ethernetHeader = 14
	addresses      = 12 // length of the two MAC addresses, which precede a tag
	tagLength      = 4
	vnetHeader     = 10 // length of struct virtio_net_hdr
	arphrdEther    = 1
	arphrdLoopback = 772
)

// openSocket returns a packet socket that is bound to the interface and receives only its frames.
func openSocket(nic *net.Interface) (fd int, err error) {
	// A socket without a protocol receives nothing. bindSocket sets the protocol after all options have been set.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("packet socket (needs CAP_NET_RAW): %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	for _, option := range []struct {
		name          string
		level, number int
		value         int
		optional      bool
	}{
		{"PACKET_AUXDATA", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1, false},
		{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1, false},
		// The oldest kernels in use lack this option. On those, deliver drops outgoing frames.
		{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1, true},
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer, true},
		// SO_RCVBUFFORCE exceeds the system's limit, if the process has the permission.
		{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer, true},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.number, option.value); err != nil && !option.optional {
			return fd, fmt.Errorf("%s: %w", option.name, err) // return fd too, so that the deferred function closes it
		}
	}
	return fd, bindSocket(fd, nic)
}

// bindSocket binds a packet socket to an interface. The socket then receives all of the interface's frames, whatever their destination
// address.
func bindSocket(fd int, nic *net.Interface) error {
	membership := unix.PacketMreq{Ifindex: int32(nic.Index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &membership); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: nic.Index}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("hardware type: %w", err)
	}
	if ll, ok := own.(*unix.SockaddrLinklayer); ok && ll.Hatype != arphrdEther && ll.Hatype != arphrdLoopback {
		return fmt.Errorf("%w: hardware type %d, want %d (Ethernet)", ErrNotEthernet, ll.Hatype, arphrdEther)
	}
	return nil
}

// networkOrder returns the integer whose bytes in memory are v in network byte order.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// A message holds the data that the kernel returns for one received frame.
type message struct {
	offload [vnetHeader]byte
	frame   []byte // has tagLength free bytes before the received bytes, so that a tag can be restored
	sender  unix.RawSockaddrLinklayer
	control [64]byte // space for one unix.TpacketAuxdata
	vectors [2]unix.Iovec
	header  *mmsghdr
	cut     segmenter
}

// mmsghdr is the struct mmsghdr of recvmmsg(2). As in C, its size is a multiple of its alignment.
type mmsghdr struct {
	unix.Msghdr
	length uint32
}

// A batch holds the messages of one system call. It contains pointers into itself, so it must not be copied.
type batch struct {
	headers  [batchLength]mmsghdr
	messages [batchLength]message
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.messages {
		m := &b.messages[i]
		m.frame = make([]byte, tagLength+superFrame)
		m.vectors[0].Base = &m.offload[0]
		m.vectors[0].SetLen(len(m.offload))
		m.vectors[1].Base = &m.frame[tagLength]
		m.vectors[1].SetLen(superFrame)
		m.header = &b.headers[i]
		m.header.Iov = &m.vectors[0]
		m.header.SetIovlen(len(m.vectors))
		m.header.Name = (*byte)(unsafe.Pointer(&m.sender))
		m.header.Control = &m.control[0]
	}
	return b
}

// receive fetches the frames that have already arrived and returns how many it fetched. It does not block.
func (b *batch) receive(fd int) (int, error) {
	for i := range b.headers {
		b.headers[i].Namelen = unix.SizeofSockaddrLinklayer
		b.headers[i].SetControllen(len(b.messages[i].control))
		b.headers[i].Flags = 0
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), batchLength, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// deliver passes the message's frame, or the segments into which the frame is cut, to recv. It skips a frame that this machine has sent.
// It returns false for a frame that no link carries.
func (m *message) deliver(recv func(frame []byte)) bool {
	if m.sender.Pkttype == unix.PACKET_OUTGOING {
		return true
	}
	n := int(m.header.length) - vnetHeader
	if n < ethernetHeader || m.header.Flags&unix.MSG_TRUNC != 0 {
		return false
	}
	frame := m.frame[tagLength : tagLength+n]
	offload := decodeOffload(m.offload)
	if !offload.complete(frame) {
		return false
	}
	if protocol, tag, ok := m.strippedTag(); ok {
		frame = m.frame[:tagLength+n]
		copy(frame[:addresses], frame[tagLength:])
		binary.BigEndian.PutUint16(frame[addresses:], protocol)
		binary.BigEndian.PutUint16(frame[addresses+2:], tag)
	}
	if offload.segment != 0 {
		return m.cut.cut(frame, offload.segment, recv)
	}
	if len(frame) > MaxFrame {
		return false
	}
	recv(frame)
	return true
}

// strippedTag returns the protocol identifier and the control information of the outer tag that the kernel has removed from the frame.
func (m *message) strippedTag() (protocol, tag uint16, ok bool) {
	control := m.control[:min(int(m.header.Controllen), len(m.control))]
	for len(control) >= unix.SizeofCmsghdr {
		header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		length := int(header.Len)
		if length < unix.SizeofCmsghdr || length > len(control) {
			return 0, 0, false
		}
		data := control[unix.CmsgLen(0):length]
		if header.Level == unix.SOL_PACKET && header.Type == unix.PACKET_AUXDATA && len(data) >= int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&data[0]))
			// The flag is checked instead of the value, because a tag with priority 0 and VLAN id 0 is all zeroes.
			if aux.Status&unix.TP_STATUS_VLAN_VALID == 0 {
				return 0, 0, false
			}
			protocol = unix.ETH_P_8021Q
			if aux.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
				protocol = aux.Vlan_tpid
			}
			return protocol, aux.Vlan_tci, true
		}
		control = control[min(unix.CmsgSpace(length-unix.CmsgLen(0)), len(control)):]
	}
	return 0, 0, false
}
