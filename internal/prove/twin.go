package prove

import (
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch"
	"op25b/p4src"
)

// A twin is the pipeline in process, with the entries that it has now.
type twin struct {
	*softswitch.Twin
	ids      map[pipeline.Key]uint32
	entries  []pipeline.Entry  // by id; zero if the entry was removed
	names    map[string]string // the full names of the counters by their aliases
	kinds    map[string]int    // the index in tables, by the full name of the table
	defaults map[pipeline.Key]pipeline.Entry

	out   []softswitch.Frame
	looks []softswitch.Look
}

func newTwin() (*twin, error) {
	t, err := softswitch.NewTwin(p4src.DeviceConfig(), p4src.P4Info())
	if err != nil {
		return nil, fmt.Errorf("load the pipeline: %w", err)
	}
	tw := &twin{Twin: t, ids: map[pipeline.Key]uint32{}, names: map[string]string{}, kinds: map[string]int{}, defaults: map[pipeline.Key]pipeline.Entry{}}
	for _, name := range t.Counters() {
		tw.names[pipeline.Alias(name)] = name
	}
	return tw, nil
}

// write applies an update.
func (t *twin) write(kind pipeline.Kind, e *pipeline.Entry) error {
	id, known := t.ids[e.Key]
	if !known {
		id = uint32(len(t.entries))
	}
	if err := t.Write(&p4v1.Update{Type: p4v1.Update_Type(kind), Entity: p4rt.Entity(*e)}, id); err != nil {
		return fmt.Errorf("%v %v: %w", kind, e, err)
	}
	switch {
	case e.IsDefault():
		t.defaults[e.Key] = *e
	case kind == pipeline.Delete:
		t.entries[id] = pipeline.Entry{}
		delete(t.ids, e.Key)
	case known:
		t.entries[id] = *e
	default:
		t.ids[e.Key] = id
		t.entries = append(t.entries, *e)
	}
	return nil
}

// load writes entries into an empty twin.
func (t *twin) load(entries []pipeline.Entry) error {
	for i := range entries {
		kind := pipeline.Insert
		if entries[i].IsDefault() {
			kind = pipeline.Modify
		}
		if err := t.write(kind, &entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// clear removes all entries.
func (t *twin) clear() error {
	for id := range t.entries {
		if e := t.entries[id]; !e.IsZero() {
			if err := t.write(pipeline.Delete, &e); err != nil {
				return err
			}
		}
	}
	for key := range t.defaults {
		if err := t.write(pipeline.Modify, &pipeline.Entry{Key: key}); err != nil {
			return err
		}
	}
	t.entries = t.entries[:0]
	clear(t.defaults)
	return nil
}

// play processes a frame. The result is valid until the next call.
func (t *twin) play(port pipeline.Port, frame []byte) []softswitch.Frame {
	t.out = t.Play(uint32(port), frame, t.out[:0])
	return t.out
}

// met returns the look-ups of the last frame. The result is valid until the next call.
func (t *twin) met() []softswitch.Look {
	t.looks = t.Looks(t.looks[:0])
	return t.looks
}

// decided returns the entries that the last frame hit, and the tables in which it hit none.
func (t *twin) decided() (entries []pipeline.Entry, missed []string) {
	for _, l := range t.met() {
		switch name := pipeline.Alias(l.Table); {
		case l.Hit:
			entries = append(entries, t.entries[l.ID])
		case !onlyDefault(name):
			missed = append(missed, name)
		}
	}
	return entries, missed
}

// count returns the packets that a cell has counted.
func (t *twin) count(c pipeline.Cell) uint64 { return t.Counted(t.names[c.Counter], c.Index) }

// seen returns what the pipeline does with a frame, from its trace.
func (t *twin) seen(port pipeline.Port, frame []byte) pipeline.Passage {
	var p pipeline.Passage
	for _, e := range t.Trace(uint32(port), frame) {
		switch {
		case e.Kind == "table":
			field := func(name string) uint64 {
				for i := range e.Fields {
					if e.Fields[i].Name == name {
						return e.Fields[i].Value.Uint64()
					}
				}
				return 0
			}
			arg := func(name string) uint64 {
				for i := range e.Args {
					if e.Args[i].Name == name {
						return e.Args[i].Value.Uint64()
					}
				}
				return 0
			}
			p.Applied(e.Name, e.Action, field, arg)
		case e.Kind == "counter" && e.Index != nil:
			p.Counted(e.Name, *e.Index)
		}
	}
	return p
}
