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
	// DefaultRecordBytes is the size of a recording's file. A table entry takes about 40 bytes, so 64 MiB hold the
	// first writes of about ten full switches with 110,000 entries.
	DefaultRecordBytes = 64 << 20
	// DefaultRecordQueue has room for the writes of a full switch and a program of 10 MB, several times over.
	DefaultRecordQueue = 64 << 20
)

// A RecorderConfig configures the file of a recording and its limits. The zero value of every field but Path means
// its default.
type RecorderConfig struct {
	// Path is the file. Only its owner can read it, because it contains addresses of subscribers. The file of an
	// earlier process is continued.
	Path string
	// MaxBytes is the size at which the file is renamed to Path.1, replacing an older one, and a new file begins;
	// DefaultRecordBytes if 0. A new file begins with the pipeline in force, which does not count.
	MaxBytes int64
	// QueueBytes limits the records that wait for the disk; further records are dropped. DefaultRecordQueue if 0.
	QueueBytes int
	Logger     *zap.Logger      // may be nil
	Now        func() time.Time // time.Now if nil
}

// A Recorder records the requests and answers of the sessions with one switch, for bug reports and Replay. A session
// only bears the cost of encoding its requests. If the disk is slow, records are lost, and the recording notes the
// loss. A disk error ends the recording and is logged once. A nil Recorder records nothing.
type Recorder struct {
	cfg  RecorderConfig
	log  *zap.Logger
	file *recordFile   // used only by the writing goroutine
	wake chan struct{} // holds a token when there is something to do
	done chan struct{} // closed when the writing goroutine has ended

	mu       sync.Mutex // guards everything below
	queue    []item
	bytes    int    // size of queue
	left     uint64 // records dropped since the last queued record
	sessions uint64
	requests uint64
	closed   bool
	failed   error // the error that ended the recording
}

// NewRecorder opens the file and starts to write to it. The caller must call Close. NewRecorder returns ErrConfig if
// a limit is negative or the file cannot be opened.
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

// Close writes the queued records and closes the file. It returns the error that ended the recording earlier, if any.
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

// An item is one record in the queue.
type item struct {
	encoded []byte
	repeat  repeat
	sha     pipelineSHA // only for a record of a pipeline
}

// put queues a record, or drops it if the queue is full. It does not block.
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
	_, _ = protodelim.MarshalTo(&out, rec) // cannot fail: a buffer accepts all data, and every string was made valid
	return out.Bytes()
}

// take returns the queued records, and whether they are the last ones.
func (r *Recorder) take() (queue []item, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	queue, r.queue, r.bytes = r.queue, nil, 0
	return queue, r.closed
}

// write writes the queued records to the file, until Close or the first failure.
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
	_ = r.file.Close() // the first failure is the error that counts
	r.mu.Lock()
	r.failed, r.queue = fmt.Errorf("recording %s ended: %w", r.cfg.Path, err), nil
	r.mu.Unlock()
	r.log.Warn("recording ended; the session goes on without", zap.String("file", r.cfg.Path), zap.Error(err))
}
