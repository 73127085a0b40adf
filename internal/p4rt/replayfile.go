package p4rt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protodelim"

	op25bv1 "op25b/proto/op25b/v1"
)

// maxRecord is the maximum size of a record that can be read. It is several times the size of a pipeline or of a
// batch of DefaultMaxBatchBytes.
const maxRecord = 256 << 20

// A requestID identifies a request in a file. Each process that appended to the file counts its requests from 1.
// part is the number of the process.
type requestID struct {
	part    int
	request uint64
}

// eachRecord calls fn with every record of a recording and the record's number, which counts from 1. torn reports
// whether the last record is incomplete.
func eachRecord(path string, fn func(n int, rec *op25bv1.Record) error) (torn bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrRecording, err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	limit := protodelim.UnmarshalOptions{MaxSize: maxRecord}
	for n := 1; ; n++ {
		rec := new(op25bv1.Record)
		err := limit.UnmarshalFrom(in, rec)
		switch {
		case errors.Is(err, io.EOF) && n > 1:
			return false, nil
		case errors.Is(err, io.ErrUnexpectedEOF) && n > 1:
			return true, nil
		case err == nil:
			err = checkRecord(n, rec)
		case errors.Is(err, io.EOF):
			err = errors.New("the file is empty")
		}
		if err != nil {
			return false, fmt.Errorf("%w: %s: record %d: %w", ErrRecording, path, n, err)
		}
		if err := fn(n, rec); err != nil {
			return false, err
		}
	}
}

// checkRecord checks record n of a file.
func checkRecord(n int, rec *op25bv1.Record) error {
	opening := rec.GetOpening()
	switch {
	case n == 1 && opening == nil:
		return errors.New("no opening: not a recording of op25b")
	case opening != nil && opening.GetVersion() != recordVersion:
		return fmt.Errorf("version %d of the format: this op25b reads version %d", opening.GetVersion(), recordVersion)
	}
	if p := rec.GetPipeline(); p != nil {
		sum := hashPipeline(p.GetP4Info(), p.GetDeviceConfig())
		if string(sum[:]) != string(p.GetSha256()) {
			return fmt.Errorf("a pipeline that is not what its name says: SHA-256 %x, named %x", sum, p.GetSha256())
		}
	}
	return nil
}

// readAnswers returns all answers in a recording. It returns ErrRecording if the recording contains more than one
// switch.
func readAnswers(path string) (map[requestID]*op25bv1.Answer, error) {
	answers := map[requestID]*op25bv1.Answer{}
	part := 0
	var of *op25bv1.Session
	_, err := eachRecord(path, func(n int, rec *op25bv1.Record) error {
		switch event := rec.GetEvent().(type) {
		case *op25bv1.Record_Opening:
			part++
		case *op25bv1.Record_Dialed:
			d := event.Dialed
			if of == nil {
				of = d
			}
			if d.GetAddr() != of.GetAddr() || d.GetDeviceId() != of.GetDeviceId() {
				return fmt.Errorf("%w: %s: record %d: device %d at %s beside device %d at %s: a recording is replayed to one switch",
					ErrRecording, path, n, d.GetDeviceId(), d.GetAddr(), of.GetDeviceId(), of.GetAddr())
			}
		case *op25bv1.Record_Answer:
			answers[requestID{part, event.Answer.GetRequest()}] = event.Answer
		}
		return nil
	})
	return answers, err
}
