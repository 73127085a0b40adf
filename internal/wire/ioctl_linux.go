package wire

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolLRO is the flag of large receive offload in ETHTOOL_GFLAGS.
const ethtoolLRO = 1 << 15

// disableMerging turns off the offloads that merge received segments, so that the switch counts and forwards frames as they were on the
// wire. It returns a function that turns them on again. If the permission is missing or the card lacks the feature, frames are still
// correct, because the kernel marks merged frames and the link cuts them.
func disableMerging(fd int, name string) (restore func()) {
	var undo []func()
	for _, offload := range []struct{ get, set, mask uint32 }{
		{unix.ETHTOOL_GGRO, unix.ETHTOOL_SGRO, 1},
		{unix.ETHTOOL_GFLAGS, unix.ETHTOOL_SFLAGS, ethtoolLRO},
	} {
		was, err := ethtool(fd, name, offload.get, 0)
		if err != nil || was&offload.mask == 0 {
			continue
		}
		if _, err := ethtool(fd, name, offload.set, was&^offload.mask); err == nil {
			undo = append(undo, func() { _, _ = ethtool(fd, name, offload.set, was) })
		}
	}
	return func() {
		for _, f := range undo {
			f()
		}
	}
}

// ethtool calls ioctl(SIOCETHTOOL) with a struct ethtool_value.
func ethtool(fd int, name string, command, value uint32) (uint32, error) {
	argument := struct{ command, value uint32 }{command, value}
	var request struct {
		name     [unix.IFNAMSIZ]byte
		argument unsafe.Pointer
		_        [16]byte // fills the C struct ifreq, which is a union larger than a pointer
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.argument = unsafe.Pointer(&argument)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return 0, errno
	}
	return argument.value, nil
}

// An interfaceNumber is a struct ifreq that contains a number. The ioctl is made on the link's own socket. So it applies to the network
// namespace in which the link was opened, whatever the calling thread's namespace is.
type interfaceNumber struct {
	name   [unix.IFNAMSIZ]byte
	number int32
	_      [20]byte
}

// interfaceMTU returns the interface's MTU, or 0 if the interface does not exist.
func interfaceMTU(fd int, name string) int {
	var request interfaceNumber
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFMTU, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return 0
	}
	return int(request.number)
}
