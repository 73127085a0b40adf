package p4rt

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"
)

// Recordings contains the recorders of several switches. Each switch has its own file in one directory. A nil
// *Recordings records nothing.
type Recordings struct {
	dir string
	log *zap.Logger

	mu  sync.Mutex // guards all following fields
	all map[string]*Recorder
}

// OpenRecordings creates the directory, which only this user can access. If dir is empty, it returns nil.
func OpenRecordings(dir string, log *zap.Logger) (*Recordings, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &Recordings{dir: dir, log: log, all: map[string]*Recorder{}}, nil
}

// Of returns the recorder of a switch. If its file cannot be opened, Of logs the error and returns nil.
func (r *Recordings) Of(switchName string) *Recorder {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	recorder, known := r.all[switchName]
	if !known {
		var err error
		recorder, err = NewRecorder(RecorderConfig{Path: filepath.Join(r.dir, switchName+".recording"), Logger: r.log})
		if err != nil {
			r.log.Error("session not recorded", zap.String("switch", switchName), zap.Error(err))
		}
		r.all[switchName] = recorder
	}
	return recorder
}

// Close closes all recorders.
func (r *Recordings) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, recorder := range r.all {
		if err := recorder.Close(); err != nil {
			r.log.Warn("recording incomplete", zap.String("switch", name), zap.Error(err))
		}
	}
}
