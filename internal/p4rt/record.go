package p4rt

import (
	"bytes"
	"cmp"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// Default values of RecorderConfig.
const (
	// DefaultRecordBytes is the default size of a recording's file. A table entry takes about 40 bytes, so 64 MiB
	// suffice for the first writes of about ten full switches with 110,000 entries.
	DefaultRecordBytes = 64 << 20
	// DefaultRecordQueue is the default size of the queue. It has room for several times the writes of a full switch
	// and a program of 10 MB.
	DefaultRecordQueue = 64 << 20
)

// A RecorderConfig configures the file of a recording and its limits. The zero value of a field means its default.
// Path must be set.
type RecorderConfig struct {
	// Path is the path of the file. Only its owner can read the file, because it contains addresses of subscribers.
	// If the file exists already, the recording is appended to it.
	Path string
	// MaxBytes is the maximum size of the file; 0 means DefaultRecordBytes. When it is reached, the file is renamed
	// to Path.1, which replaces an older file of that name, and a new file is started. A new file begins with the
	// pipeline in force, which does not count towards the size.
	MaxBytes int64
	// QueueBytes is the maximum size of the records that wait for the disk; 0 means DefaultRecordQueue. Further
	// records are dropped.
	QueueBytes int
	Logger     *zap.Logger      // nil means no logging
	Now        func() time.Time // clock for the times of records; nil means time.Now
}

// A Recorder records the requests and answers of the sessions with one switch, for bug reports and for Replay. The
// only cost for a session is the encoding of its requests. If the disk is slow, records are dropped, and the
// recording states how many. A disk error ends the recording and is logged once. A nil Recorder records nothing.
type Recorder struct {
	cfg  RecorderConfig
	log  *zap.Logger
	file *recordFile   // used only by the goroutine that writes
	wake chan struct{} // contains a token if there is work for the goroutine that writes
	done chan struct{} // closed when the goroutine that writes has ended

	mu       sync.Mutex // guards all following fields
	queue    []item
	bytes    int    // total size of the records in queue
	left     uint64 // number of records dropped since the last queued record
	sessions uint64
	requests uint64
	closed   bool
	failed   error // the error that ended the recording
}

// NewRecorder opens the file and starts the goroutine that writes to it. The caller must call Close. NewRecorder
// returns ErrConfig if a limit is negative or the file cannot be opened.
func NewRecorder(cfg RecorderConfig) (*Recorder, error) {
	if cfg.MaxBytes < 0 || cfg.QueueBytes < 0 {
		return nil, fmt.Errorf("%w: recording %s: %d bytes a file, %d queued: must be > 0, or 0 for %d and %d",
			ErrConfig, cfg.Path, cfg.MaxBytes, cfg.QueueBytes, DefaultRecordBytes, DefaultRecordQueue)
	}
	cfg.MaxBytes, cfg.QueueBytes = cmp.Or(cfg.MaxBytes, DefaultRecordBytes), cmp.Or(cfg.QueueBytes, DefaultRecordQueue)
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	file, err := openRecordFile(cfg.Path, cfg.MaxBytes, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("%w: recording %s: %w", ErrConfig, cfg.Path, err)
	}
	r := &Recorder{cfg: cfg, log: cfg.Logger, file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go r.write()
	return r, nil
}

// Close writes the queued records and closes the file. If the recording ended early, Close returns the error that
// ended it.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.poke()
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *Recorder) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// An item is a record in the queue.
type item struct {
	encoded []byte
	repeat  repeat
	sha     pipelineSHA // set only if the record contains a pipeline
}

// put adds a record to the queue, or drops it if the queue is full. It does not block.
func (r *Recorder) put(session uint64, rec *op25bv1.Record, as repeat, sha pipelineSHA) {
	rec.Time, rec.Session = timestamppb.New(r.cfg.Now()), session
	it := item{encode(rec), as, sha}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.failed != nil {
		return
	}
	if r.bytes > 0 && r.bytes+len(it.encoded) > r.cfg.QueueBytes {
		r.left++
		return
	}
	if r.left > 0 {
		gap := &op25bv1.Record{Time: rec.Time, Event: &op25bv1.Record_Gap{Gap: &op25bv1.Gap{Records: r.left}}}
		r.queue, r.left = append(r.queue, item{encoded: encode(gap)}), 0
	}
	r.queue, r.bytes = append(r.queue, it), r.bytes+len(it.encoded)
	r.poke()
}

func encode(rec *op25bv1.Record) []byte {
	var out bytes.Buffer
	_, _ = protodelim.MarshalTo(&out, rec) // cannot fail, because a buffer accepts all data and all strings are valid UTF-8
	return out.Bytes()
}

// take removes the records from the queue and returns them. last reports whether no more records will follow.
func (r *Recorder) take() (queue []item, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	queue, r.queue, r.bytes = r.queue, nil, 0
	return queue, r.closed
}

// write writes queued records to the file until Close is called or a write fails.
func (r *Recorder) write() {
	defer close(r.done)
	for range r.wake {
		queue, last := r.take()
		for _, it := range queue {
			if err := r.file.add(it); err != nil {
				r.fail(err)
				return
			}
		}
		if last {
			if err := r.file.Close(); err != nil {
				r.fail(err)
			}
			return
		}
	}
}

func (r *Recorder) fail(err error) {
	_ = r.file.Close() // only the first error is reported
	r.mu.Lock()
	r.failed, r.queue = fmt.Errorf("recording %s ended: %w", r.cfg.Path, err), nil
	r.mu.Unlock()
	r.log.Warn("recording ended; the session goes on without", zap.String("file", r.cfg.Path), zap.Error(err))
}
