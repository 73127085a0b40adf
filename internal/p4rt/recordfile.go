package p4rt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// recordVersion is the version of the record format.
const recordVersion = 1

// A repeat marks records that are repeated at the beginning of a new file, so that the file can be replayed without
// the previous file.
type repeat int

const (
	repeatNever   repeat = iota
	repeatSession        // the session that was dialed last
	repeatPipeline
	repeatInForce
)

// A recordFile is the file of a recording. When it is full, a new file is started.
type recordFile struct {
	path string
	max  int64
	now  func() time.Time

	out    *os.File
	size   int64
	opened int64                // size of the file's first records, which open writes
	has    map[pipelineSHA]bool // pipelines that are recorded in the file
	last   [4]item              // the last item of each kind that is repeated
}

// openRecordFile opens the file at path to append to it, or creates it.
func openRecordFile(path string, max int64, now func() time.Time) (*recordFile, error) {
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// A killed process may have left an incomplete record. It must be removed, because records after it could not be
	// read.
	end, err := wholeRecords(out)
	if err == nil {
		err = out.Truncate(end)
	}
	if err == nil {
		_, err = out.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	f := &recordFile{path: path, max: max, now: now, out: out, size: end, opened: end}
	return f, f.open(false)
}

// wholeRecords returns the total size of the complete records in the file.
func wholeRecords(file *os.File) (end int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	in := bufio.NewReader(file)
	for {
		length, err := binary.ReadUvarint(in)
		prefix := int64(len(binary.AppendUvarint(nil, length)))
		if err != nil || length > uint64(info.Size()) || end+prefix+int64(length) > info.Size() {
			return end, nil // if this was a read error, the first write fails too and reports it
		}
		if _, err := in.Discard(int(length)); err != nil {
			return end, nil
		}
		end += prefix + int64(length)
	}
}

// open writes the first records of a new file, or of the part that this process appends to an existing file.
func (f *recordFile) open(continued bool) error {
	f.has = map[pipelineSHA]bool{}
	begin := encode(&op25bv1.Record{Time: timestamppb.New(f.now()), Event: &op25bv1.Record_Opening{
		Opening: &op25bv1.Opening{Version: recordVersion, Continued: continued},
	}})
	if err := f.write(begin); err != nil {
		return err
	}
	for _, it := range f.last {
		if it.encoded == nil {
			continue
		}
		if err := f.write(it.encoded); err != nil {
			return err
		}
		if it.repeat == repeatPipeline {
			f.has[it.sha] = true
		}
	}
	f.opened = f.size
	return nil
}

// add writes a record. If the file has no room for the record, add first starts a new file. A record that is larger
// than MaxBytes is written all the same.
func (f *recordFile) add(it item) error {
	if it.repeat == repeatPipeline && f.has[it.sha] {
		return nil
	}
	if f.size+int64(len(it.encoded)) > f.max && f.size > f.opened {
		if err := f.rotate(); err != nil {
			return err
		}
		if it.repeat == repeatPipeline && f.has[it.sha] {
			return nil
		}
	}
	if err := f.write(it.encoded); err != nil {
		return err
	}
	if it.repeat != repeatNever {
		f.last[it.repeat] = it
	}
	if it.repeat == repeatPipeline {
		f.has[it.sha] = true
	}
	return nil
}

func (f *recordFile) rotate() error {
	if err := f.out.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		return err
	}
	out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	f.out, f.size = out, 0
	return f.open(true)
}

func (f *recordFile) write(encoded []byte) error {
	n, err := f.out.Write(encoded)
	f.size += int64(n)
	return err
}

// Close closes the file.
func (f *recordFile) Close() error { return f.out.Close() }
