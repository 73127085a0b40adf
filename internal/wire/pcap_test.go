package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var someFrames = [][]byte{bytes.Repeat([]byte{1}, 60), {2}, bytes.Repeat([]byte{3}, 1514), bytes.Repeat([]byte{4}, MaxFrame)}

// record writes frames to a pcap file, or to a pcapng file if ng is set, and returns the file's
// name.
func record(t *testing.T, ng bool, frames [][]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var write func(gopacket.CaptureInfo, []byte) error
	if ng {
		w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Flush()
		write = w.WritePacket
	} else {
		w := pcapgo.NewWriter(f)
		if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
			t.Fatal(err)
		}
		write = w.WritePacket
	}
	for _, frame := range frames {
		if err := write(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(frame), Length: len(frame)}, frame); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func TestPcapIn(t *testing.T) {
	for _, ng := range []bool{false, true} {
		name := map[bool]string{false: "pcap", true: "pcapng"}[ng]
		t.Run(name, func(t *testing.T) {
			l, err := OpenPcap("tap", record(t, ng, someFrames), "")
			if err != nil {
				t.Fatal(err)
			}
			shut(t, l)
			frames := collect(t, l)
			for i, want := range someFrames {
				if got := next(t, frames); !bytes.Equal(got, want) {
					t.Errorf("frame %d has %d bytes, want %d", i+1, len(got), len(want))
				}
			}
		})
	}
}

// TestPcapServeEnds verifies that Serve waits for its context after the end of the file, and that
// Close ends it too.
func TestPcapServeEnds(t *testing.T) {
	for name, end := range map[string]func(l Link, stop context.CancelFunc){
		"context": func(_ Link, stop context.CancelFunc) { stop() },
		"close":   func(l Link, _ context.CancelFunc) { _ = l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := OpenPcap("tap", record(t, false, someFrames[:1]), "")
			if err != nil {
				t.Fatal(err)
			}
			shut(t, l)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			came, served := make(chan struct{}), make(chan error, 1)
			go func() { served <- l.Serve(ctx, func([]byte) { close(came) }) }()
			<-came
			select {
			case err := <-served:
				t.Fatalf("Serve ended with the file: %v", err)
			default:
			}
			end(l, stop)
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

func TestPcapOut(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.pcap")
	l, err := OpenPcap("tap", "", out)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	for _, frame := range someFrames {
		if err := l.Send(frame); err != nil {
			t.Fatal(err)
		}
	}
	// Every frame is in the file before Close is called.
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	last := before.Add(-time.Nanosecond)
	for i, want := range someFrames {
		got, info, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(got, want) || info.Length != len(want) {
			t.Fatalf("frame %d: %d of %d bytes, %v, want %d", i+1, len(got), info.Length, err, len(want))
		}
		if info.Timestamp.Before(last) || info.Timestamp.After(time.Now()) {
			t.Errorf("frame %d has time %v, want between %v and now", i+1, info.Timestamp, last)
		}
		last = info.Timestamp
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
	if got, want := l.(Counted).Stats(), (Stats{Sent: uint64(len(someFrames))}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if err := l.Send(make([]byte, MaxFrame+1)); !errors.Is(err, ErrOversized) || !strings.Contains(err.Error(), `link "tap"`) || !strings.Contains(err.Error(), "9239 bytes") {
		t.Errorf("an oversized frame: %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := l.Send([]byte{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

func TestPcapBadFrames(t *testing.T) {
	header := func(snaplen uint32) *bytes.Buffer {
		b := &bytes.Buffer{}
		if err := pcapgo.NewWriter(b).WriteFileHeader(snaplen, layers.LinkTypeEthernet); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, tc := range map[string]struct {
		write func(w *pcapgo.Writer) error
		cut   int // number of bytes cut from the end of the file
		is    error
		want  string
	}{
		"truncated by the capture": {
			func(w *pcapgo.Writer) error {
				return w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: 60, Length: 1514}, make([]byte, 60))
			}, 0, ErrTruncated, "frame 2: truncated frame: 60 of its 1514 bytes",
		},
		"file ends within": {
			func(w *pcapgo.Writer) error {
				return w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: 60, Length: 60}, make([]byte, 60))
			}, 10, ErrTruncated, "frame 2: truncated frame: the file ends within it",
		},
		"oversized": {
			func(w *pcapgo.Writer) error {
				return w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: 9239, Length: 9239}, make([]byte, 9239))
			}, 0, ErrOversized, "frame too long: 9239 bytes, a frame has at most 9238",
		},
		"empty": {
			func(w *pcapgo.Writer) error {
				return w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0)}, nil)
			}, 0, ErrRunt, "frame too short: 0 bytes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := header(1 << 16)
			w := pcapgo.NewWriter(b)
			good := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: 1, Length: 1}
			if err := errors.Join(w.WritePacket(good, []byte{9}), tc.write(w)); err != nil {
				t.Fatal(err)
			}
			in := filepath.Join(t.TempDir(), "bad.pcap")
			if err := os.WriteFile(in, b.Bytes()[:b.Len()-tc.cut], 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := OpenPcap("tap", in, "")
			if err != nil {
				t.Fatal(err)
			}
			shut(t, l)
			var got [][]byte
			err = l.Serve(t.Context(), func(frame []byte) { got = append(got, bytes.Clone(frame)) })
			if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `link "tap"`) || !strings.Contains(err.Error(), in) {
				t.Errorf("Serve: %v, want %q with the link and the file", err, tc.want)
			}
			if len(got) != 1 {
				t.Errorf("Serve handed over %d frames, want the good one", len(got))
			}
		})
	}
}

func TestOpenPcapErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a capture ", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(dir, "raw")
	b := &bytes.Buffer{}
	if err := pcapgo.NewWriter(b).WriteFileHeader(1<<16, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(raw, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	good := record(t, false, someFrames)
	for name, tc := range map[string]struct {
		in, out string
		is      error
		want    string
	}{
		"no file":       {filepath.Join(dir, "none"), "", os.ErrNotExist, `none`},
		"no capture":    {text, "", nil, "want pcap or pcapng"},
		"not Ethernet":  {raw, "", ErrNotEthernet, "not Ethernet: its frames are Raw"},
		"the same file": {good, good, nil, "is also read"},
		"no directory":  {"", filepath.Join(dir, "none", "out"), os.ErrNotExist, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := OpenPcap("tap", tc.in, tc.out)
			if err == nil {
				_ = l.Close()
			}
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `link "tap"`) {
				t.Errorf("OpenPcap: %v, want %q with the link", err, tc.want)
			}
		})
	}
	if info, err := os.Stat(good); err != nil || info.Size() == 0 {
		t.Errorf("the file that was to be read and written is gone: %v", err)
	}
}
