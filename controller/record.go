package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"op25b/internal/p4rt"
)

// recordings are those of the switches, each a file in a directory; nil records nothing.
type recordings struct {
	dir string
	log *zap.Logger

	mu  sync.Mutex // guards everything that follows
	all map[string]*p4rt.Recorder
}

func newRecordings(dir string, log *zap.Logger) (*recordings, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return &recordings{dir: dir, log: log, all: map[string]*p4rt.Recorder{}}, nil
}

// of returns the recorder of a switch, or nil, with a line in the log, if its file cannot be had.
func (r *recordings) of(switchName string) *p4rt.Recorder {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	recorder, known := r.all[switchName]
	if !known {
		var err error
		recorder, err = p4rt.NewRecorder(p4rt.RecorderConfig{Path: filepath.Join(r.dir, switchName+".recording"), Logger: r.log})
		if err != nil {
			r.log.Error("nothing is recorded of a switch", zap.String("switch", switchName), zap.Error(err))
		}
		r.all[switchName] = recorder
	}
	return recorder
}

func (r *recordings) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, recorder := range r.all {
		if err := recorder.Close(); err != nil {
			r.log.Warn("the recording of a switch ended before", zap.String("switch", name), zap.Error(err))
		}
	}
}
