package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// OpenPcap returns a link that receives frames from the file in (pcap or pcapng) and sends frames to the file out. Serve reads the frames
// in order, as fast as recv accepts them, and then waits until ctx ends. The file out is created as a pcap file with nanosecond timestamps.
// If in is empty, no frame is received. If out is empty, sent frames are discarded.
//
// If the file in contains a truncated frame, or a frame with a size that no link carries, Serve returns an error. The error names the link,
// the frame's number (counted from 1) and its size.
func OpenPcap(name, in, out string) (Link, error) {
	p := &pcapLink{name: name, in: in, done: make(chan struct{})}
	if in != "" {
		if err := p.openIn(in); err != nil {
			return nil, fmt.Errorf("link %q: %w", name, err)
		}
	}
	if out != "" {
		if err := p.openOut(in, out); err != nil {
			return nil, errors.Join(fmt.Errorf("link %q: %w", name, err), p.Close())
		}
	}
	return p, nil
}

type pcapLink struct {
	name     string
	in       string
	source   *os.File
	reader   pcapReader
	served   atomic.Bool
	done     chan struct{} // closed by Close
	counters Counters

	mu     sync.Mutex // guards everything below
	closed bool
	sink   *os.File
	buffer *bufio.Writer
	writer *pcapgo.Writer
}

// A pcapReader reads a pcap or a pcapng file.
type pcapReader interface {
	ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

var (
	_ Link    = (*pcapLink)(nil)
	_ Counted = (*pcapLink)(nil)
)

// pcapngMagic is the type of a pcapng file's first block. Its bytes are the same in both byte orders.
const pcapngMagic = 0x0a0d0d0a

func (p *pcapLink) openIn(in string) error {
	f, err := os.Open(in)
	if err != nil {
		return err
	}
	buffered := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := buffered.Peek(4); len(magic) == 4 && binary.BigEndian.Uint32(magic) == pcapngMagic {
		p.reader, err = pcapgo.NewNgReader(buffered, pcapgo.DefaultNgReaderOptions)
	} else {
		p.reader, err = pcapgo.NewReader(buffered)
	}
	if err == nil && p.reader.LinkType() != layers.LinkTypeEthernet {
		err = fmt.Errorf("%w: its frames are %v", ErrNotEthernet, p.reader.LinkType())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("file %q, want pcap or pcapng: %w", in, err), f.Close())
	}
	p.source = f
	return nil
}

func (p *pcapLink) openOut(in, out string) error {
	if same, err := sameFile(in, out); err != nil || same {
		return errors.Join(err, fmt.Errorf("file %q is also read: want another one to write to", out))
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(f, 1<<14)
	writer := pcapgo.NewWriterNanos(buffer)
	if err := errors.Join(writer.WriteFileHeader(MaxFrame, layers.LinkTypeEthernet), buffer.Flush()); err != nil {
		return errors.Join(fmt.Errorf("file %q: %w", out, err), f.Close())
	}
	p.sink, p.buffer, p.writer = f, buffer, writer
	return nil
}

// sameFile reports whether two names refer to the same existing file.
func sameFile(a, b string) (bool, error) {
	if a == "" {
		return false, nil
	}
	infoA, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Stat(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(infoA, infoB), nil
}

func (p *pcapLink) Name() string { return p.name }

func (p *pcapLink) Stats() Stats { return p.counters.Stats() }

func (p *pcapLink) Serve(ctx context.Context, recv func(frame []byte)) error {
	if p.served.Swap(true) {
		return fmt.Errorf("link %q: %w", p.name, ErrServed)
	}
	for number := 1; p.reader != nil && ctx.Err() == nil; number++ {
		frame, info, err := p.reader.ZeroCopyReadPacketData()
		switch {
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			p.reader = nil
			continue
		case errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = fmt.Errorf("%w: the file ends within it", ErrTruncated)
		case err == nil && info.CaptureLength < info.Length:
			err = fmt.Errorf("%w: %d of its %d bytes", ErrTruncated, info.CaptureLength, info.Length)
		case err == nil:
			err = CheckSize(p.name, len(frame))
		}
		if err != nil {
			p.counters.Invalid.Add(1)
			return fmt.Errorf("link %q: file %q: frame %d: %w", p.name, p.in, number, err)
		}
		p.counters.Received.Add(1)
		recv(frame)
	}
	select {
	case <-ctx.Done():
	case <-p.done:
	}
	return nil
}

func (p *pcapLink) Send(frame []byte) error {
	if err := CheckSize(p.name, len(frame)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("link %q: %w", p.name, ErrClosed)
	}
	if p.writer != nil {
		info := gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(frame), Length: len(frame)}
		// Each frame is flushed before Send returns, so that the file is complete even if the process is killed.
		if err := errors.Join(p.writer.WritePacket(info, frame), p.buffer.Flush()); err != nil {
			return fmt.Errorf("link %q: file %q: %w", p.name, p.sink.Name(), err)
		}
	}
	p.counters.Sent.Add(1)
	return nil
}

func (p *pcapLink) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	close(p.done)
	var errs []error
	if p.source != nil {
		errs = append(errs, p.source.Close())
	}
	if p.sink != nil {
		errs = append(errs, p.sink.Close())
	}
	return errors.Join(errs...)
}
