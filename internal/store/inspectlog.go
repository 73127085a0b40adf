package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// logFiles returns the names of the files of etcd's write-ahead log, in order. It returns fs.ErrNotExist if there are no files, and
// another error if a file between them is missing.
func logFiles(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the write-ahead log is missing: %w", fs.ErrNotExist)
	}
	slices.Sort(names)
	for i, name := range names {
		var seq, index, before uint64
		if _, err := fmt.Sscanf(filepath.Base(name), "%016x-%016x.wal", &seq, &index); err != nil {
			return nil, fmt.Errorf("%s is not the name of a part of the write-ahead log", filepath.Base(name))
		}
		if i > 0 {
			_, _ = fmt.Sscanf(filepath.Base(names[i-1]), "%016x-", &before)
			if seq != before+1 {
				return nil, fmt.Errorf("part %d of the write-ahead log is missing", before+1)
			}
		}
	}
	return names, nil
}

// A logState contains the indexes of the last entry and of the last snapshot in the log.
type logState struct{ last, snapshot uint64 }

// readLog reads every record of the log. It returns the index of the last entry, and the index of the last snapshot, from which etcd
// starts. The log ends at an incomplete record. etcd discards such a record, which it has not confirmed to any client.
func readLog(ctx context.Context, names []string) (state logState, err error) {
	readers := make([]fileutil.FileReader, len(names))
	for i, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return state, err
		}
		defer file.Close()
		readers[i] = fileutil.NewFileReader(file)
	}
	decoder := wal.NewDecoder(readers...)
	var record walpb.Record
	begun := false
	for {
		if err := ctx.Err(); err != nil {
			return state, err
		}
		switch err := decoder.Decode(&record); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if !begun {
				return state, errors.New("its first record is missing")
			}
			return state, nil
		case err != nil:
			return state, err
		}
		switch record.GetType() {
		case wal.MetadataType:
			begun = true
		case wal.CrcType:
			if crc := decoder.LastCRC(); crc != 0 && record.Validate(crc) != nil {
				return state, wal.ErrCRCMismatch
			}
			decoder.UpdateCRC(record.GetCrc())
		case wal.EntryType:
			var entry raftpb.Entry
			if err := proto.Unmarshal(record.GetData(), &entry); err != nil {
				return state, fmt.Errorf("entry after %d: %w", state.last, err)
			}
			state.last = entry.GetIndex() // a later entry with a lower index replaces entries that were never committed
		case wal.SnapshotType:
			var snapshot walpb.Snapshot
			if err := proto.Unmarshal(record.GetData(), &snapshot); err != nil {
				return state, fmt.Errorf("snapshot after entry %d: %w", state.last, err)
			}
			state.last, state.snapshot = max(state.last, snapshot.GetIndex()), max(state.snapshot, snapshot.GetIndex())
		}
	}
}
