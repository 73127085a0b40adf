package engine

import (
	"errors"
	"testing"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// tableProgram returns a program with a header h, which has fields a and b of 16 bits and c of 72 bits. The action "fwd"
// of its table "t" sets the port. A second table "after" marks the packet in field b.
func tableProgram(kind string, keys l, change func(p *testProgram, t m)) *testProgram {
	p := newTestProgram()
	p.header("h", "a:16", "b:16", "c:72")
	p.header("g", "a:16")
	p.state("start", l{extract("h")}, l{fld("h", "b")}, on("0x0007", "g"), otherwise(nil))
	p.state("g", l{extract("g")}, l{}, otherwise(nil))
	fwd := p.action("fwd", []string{"port:9"}, set(std("egress_spec"), param(0)))
	wide := p.action("wide", []string{"v:72", "port:9"}, set(fld("h", "c"), param(0)), set(std("egress_spec"), param(1)))
	none := p.action("none", nil)
	mark := p.action("mark", nil, set(fld("h", "b"), hx("0x4d4d")))
	t := p.table(0, "t", kind, keys, nil, none, fwd, wide, none)
	p.table(0, "after", "exact", l{}, nil, mark, mark)
	if change != nil {
		change(p, t)
	}
	return p
}

const tail = "\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func fwdTo(port byte) ActionCall { return ActionCall{"fwd", [][]byte{{port}}} }

func goesTo(t *testing.T, w *Worker, frame string, want uint32) {
	t.Helper()
	if got := one(t, w, 1, frame); got.port != want {
		t.Errorf("%x went to port %d, want %d", frame, got.port, want)
	}
}

func mustInsert(t *testing.T, tb *Table, es ...Entry) {
	t.Helper()
	for _, e := range es {
		if err := tb.Insert(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMatchKinds(t *testing.T) {
	v := func(b ...byte) Match { return Match{Value: b} }
	t.Run("exact", func(t *testing.T) {
		e := tableProgram("exact", l{key("exact", "h", "a"), key("exact", "h", "c")}, nil).load(t, Options{})
		tb, _ := e.Table("t")
		mustInsert(t, tb, Entry{Matches: []Match{v(1), v(9, 0, 0, 0, 0, 0, 0, 0, 1)}, Action: fwdTo(3)})
		w := e.NewWorker()
		goesTo(t, w, "\x00\x01\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01", 3)
		goesTo(t, w, "\x00\x01\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x02", 0)
		goesTo(t, w, "\x00\x02\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01", 0)
	})
	t.Run("lpm", func(t *testing.T) {
		e := tableProgram("lpm", l{key("lpm", "h", "a")}, nil).load(t, Options{})
		tb, _ := e.Table("t")
		mustInsert(t, tb,
			Entry{Matches: []Match{{Wildcard: true}}, Action: fwdTo(1)},
			Entry{Matches: []Match{{Value: []byte{0x12, 0}, PrefixLen: 8}}, Action: fwdTo(2)},
			Entry{Matches: []Match{{Value: []byte{0x12, 0x30}, PrefixLen: 12}}, Action: fwdTo(3)})
		w := e.NewWorker()
		goesTo(t, w, "\x12\x34\x00\x00"+tail, 3)
		goesTo(t, w, "\x12\x44\x00\x00"+tail, 2)
		goesTo(t, w, "\x13\x44\x00\x00"+tail, 1)
	})
	t.Run("ternary: the larger priority wins", func(t *testing.T) {
		e := tableProgram("ternary", l{key("ternary", "h", "a")}, nil).load(t, Options{})
		tb, _ := e.Table("t")
		mustInsert(t, tb,
			Entry{Matches: []Match{{Value: []byte{0x12, 0}, Mask: []byte{0xff, 0}}}, Priority: 10, Action: fwdTo(2)},
			Entry{Matches: []Match{{Value: []byte{0x34}, Mask: []byte{0xff}}}, Priority: 20, Action: fwdTo(3)})
		w := e.NewWorker()
		goesTo(t, w, "\x12\x34\x00\x00"+tail, 3)
		goesTo(t, w, "\x12\x35\x00\x00"+tail, 2)
		goesTo(t, w, "\x13\x35\x00\x00"+tail, 0)
	})
	t.Run("range", func(t *testing.T) {
		e := tableProgram("range", l{key("range", "h", "a")}, nil).load(t, Options{})
		tb, _ := e.Table("t")
		mustInsert(t, tb, Entry{Matches: []Match{{Value: []byte{0x10}, Mask: []byte{0x01, 0x00}}}, Priority: 1, Action: fwdTo(2)})
		w := e.NewWorker()
		for frame, port := range map[string]uint32{"\x00\x0f": 0, "\x00\x10": 2, "\x01\x00": 2, "\x01\x01": 0} {
			goesTo(t, w, frame+"\x00\x00"+tail, port)
		}
	})
	t.Run("validity and fields of an invalid header", func(t *testing.T) {
		e := tableProgram("exact", l{key("exact", "g", "$valid$"), key("exact", "g", "a")}, nil).load(t, Options{})
		tb, _ := e.Table("t")
		mustInsert(t, tb,
			Entry{Matches: []Match{v(1), v(5)}, Action: fwdTo(2)}, Entry{Matches: []Match{v(0), v(0)}, Action: fwdTo(3)})
		w := e.NewWorker()
		goesTo(t, w, "\x00\x00\x00\x07"+tail+"\x00\x05", 2)
		goesTo(t, w, "\x00\x00\x00\x00"+tail, 3)
		if k := tb.Key(); k[0].Width != 1 || k[0].Kind != match.Exact {
			t.Errorf("validity is %+v", k[0])
		}
	})
	t.Run("static mask", func(t *testing.T) {
		k := key("exact", "h", "a")
		k["mask"] = "0x0ff0"
		e := tableProgram("exact", l{k}, nil).load(t, Options{})
		tb, _ := e.Table("t")
		mustInsert(t, tb, Entry{Matches: []Match{v(0x01, 0x23)}, Action: fwdTo(2)})
		w := e.NewWorker()
		goesTo(t, w, "\xf1\x2f\x00\x00"+tail, 2)
		goesTo(t, w, "\xf1\x3f\x00\x00"+tail, 0)
	})
}

func TestEntriesOfTheControlSide(t *testing.T) {
	e := tableProgram("ternary", l{key("ternary", "h", "a"), key("exact", "h", "b")}, func(p *testProgram, tb m) {
		tb["max_size"] = 2
		tb["with_counters"] = true
		p.root["counter_arrays"] = l{m{"name": "ctr", "id": 0, "is_direct": true, "binding": "t"}}
	}).load(t, Options{})
	tb, _ := e.Table("t")
	w := e.NewWorker()
	ms := func(a byte) []Match { return []Match{{Value: []byte{a}, Mask: []byte{0xff}}, {Value: []byte{0}}} }
	en := Entry{Matches: ms(1), Priority: 5, Action: ActionCall{"wide", [][]byte{{1, 2}, {1, 0}}}, Cookie: []byte("c"), IdleTimeout: 3}
	mustInsert(t, tb, en)
	if got := one(t, w, 1, "\x00\x01\x00\x00"+tail); got != (sent{256, "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02"}) {
		t.Errorf("got %v", got)
	}
	got, ok := tb.Get(ms(1), 5)
	if !ok || string(got.Cookie) != "c" || got.Action.Name != "wide" || got.IdleTimeout != 3 || got.Priority != 5 {
		t.Errorf("read back %+v", got)
	}
	got.Cookie[0], got.Action.Args[0][0] = 'x', 99
	if again, _ := tb.Get(ms(1), 5); string(again.Cookie) != "c" || again.Action.Args[0][0] != 1 {
		t.Error("what Get returns is the table's own")
	}
	if c, err := tb.ReadCounter(ms(1), 5); err != nil || c != (CounterValue{1, 13}) {
		t.Errorf("counter %v (%v), want 1 packet of 13 bytes", c, err)
	}
	if err := tb.WriteCounter(ms(1), 5, CounterValue{}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"twice", tb.Insert(en), ErrExists},
		{"unknown action", tb.Insert(Entry{Matches: ms(2), Priority: 1, Action: ActionCall{"nope", nil}}), ErrInvalid},
		{"too few arguments", tb.Insert(Entry{Matches: ms(2), Priority: 1, Action: ActionCall{"fwd", nil}}), ErrInvalid},
		{"argument too wide", tb.Insert(Entry{Matches: ms(2), Priority: 1, Action: ActionCall{"fwd", [][]byte{{2, 0}}}}), ErrInvalid},
		{"too few matches", tb.Insert(Entry{Matches: ms(2)[:1], Priority: 1, Action: fwdTo(1)}), ErrInvalid},
		{"value too wide", tb.Insert(Entry{Matches: []Match{{Value: []byte{1, 0, 0}, Mask: []byte{1}}, {}}, Priority: 1, Action: fwdTo(1)}), ErrInvalid},
		{"member", tb.Insert(Entry{Matches: ms(2), Priority: 1, Member: 1}), ErrInvalid},
		{"modify what is not there", tb.Modify(Entry{Matches: ms(2), Priority: 1, Action: fwdTo(1)}), ErrNotFound},
		{"delete what is not there", tb.Delete(ms(1), 4), ErrNotFound},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	if tb.Len() != 1 {
		t.Errorf("%d entries after refused writes, want 1", tb.Len())
	}
	mustInsert(t, tb, Entry{Matches: ms(2), Priority: 1, Action: fwdTo(1)})
	if err := tb.Insert(Entry{Matches: ms(3), Priority: 1, Action: fwdTo(1)}); !errors.Is(err, ErrFull) {
		t.Errorf("third of two: %v", err)
	}
	if err := tb.Modify(Entry{Matches: ms(1), Priority: 5, Action: fwdTo(9)}); err != nil {
		t.Error(err)
	}
	goesTo(t, w, "\x00\x01\x00\x00"+tail, 9)
	if err := tb.Delete(ms(1), 5); err != nil {
		t.Error(err)
	}
	goesTo(t, w, "\x00\x01\x00\x00"+tail, 0)
	if err := tb.SetDefault(fwdTo(8)); err != nil || tb.Default().Name != "fwd" {
		t.Errorf("default is %v (%v)", tb.Default(), err)
	}
	goesTo(t, w, "\x00\x01\x00\x00"+tail, 8)
	tb.ResetDefault()
	goesTo(t, w, "\x00\x01\x00\x00"+tail, 0)
	n := 0
	tb.Range(func(Entry) bool { n++; return true })
	if n != 1 || tb.Size() != 2 || !tb.HasDirectCounter() || tb.DirectCounterName() != "ctr" {
		t.Errorf("%d entries, size %d, counter %q", n, tb.Size(), tb.DirectCounterName())
	}
}

func TestConstEntriesAndDefaults(t *testing.T) {
	e := tableProgram("ternary", l{key("ternary", "h", "a")}, func(_ *testProgram, tb m) {
		entry := func(k, mask string, prio int, port string) m {
			return m{
				"match_key": l{m{"match_type": "ternary", "key": k, "mask": mask}}, "priority": prio,
				"action_entry": m{"action_id": 0, "action_data": l{port}},
			}
		}
		tb["entries"] = l{entry("0x1200", "0xff00", 1, "0x4"), entry("0x0000", "0x0000", 2, "0x5")}
		tb["default_entry"] = m{"action_id": 0, "action_const": true, "action_data": l{"0x6"}, "action_entry_const": true}
	}).load(t, Options{})
	tb, _ := e.Table("t")
	w := e.NewWorker()
	goesTo(t, w, "\x12\x01\x00\x00"+tail, 4)
	goesTo(t, w, "\x13\x01\x00\x00"+tail, 5)
	var all []Entry
	tb.Range(func(en Entry) bool { all = append(all, en); return true })
	if len(all) != 2 || !all[0].Const || all[0].Priority <= all[1].Priority {
		t.Errorf("%+v: want two const entries, the first one's priority the larger", all)
	}
	for name, err := range map[string]error{
		"insert": tb.Insert(all[0]), "modify": tb.Modify(all[0]), "delete": tb.Delete(all[0].Matches, all[0].Priority), "default": tb.SetDefault(fwdTo(1)),
	} {
		if !errors.Is(err, ErrConst) {
			t.Errorf("%s: %v, want ErrConst", name, err)
		}
	}
	if !tb.IsConst() || !tb.HasConstDefault() {
		t.Error("the table does not say that it is const")
	}
}

func TestHitAndMissBranches(t *testing.T) {
	e := tableProgram("exact", l{key("exact", "h", "a")}, func(_ *testProgram, tb m) {
		tb["next_tables"] = m{"__HIT__": "after", "__MISS__": nil}
		tb["base_default_next"] = nil
	}).load(t, Options{})
	tb, _ := e.Table("t")
	mustInsert(t, tb, Entry{Matches: []Match{{Value: []byte{1}}}, Action: fwdTo(1)})
	w := e.NewWorker()
	if got := one(t, w, 1, "\x00\x01\x00\x00"+tail); got.frame[2:4] != "MM" {
		t.Errorf("hit: got %x", got.frame)
	}
	if got := one(t, w, 1, "\x00\x02\x00\x00"+tail); got.frame[2:4] != "\x00\x00" {
		t.Errorf("miss: got %x", got.frame)
	}
}

func TestActionRunBranches(t *testing.T) {
	e := tableProgram("exact", l{key("exact", "h", "a")}, func(_ *testProgram, tb m) {
		tb["next_tables"] = m{"fwd": "after", "wide": nil, "none": nil}
	}).load(t, Options{})
	tb, _ := e.Table("t")
	mustInsert(t, tb, Entry{Matches: []Match{{Value: []byte{1}}}, Action: fwdTo(1)},
		Entry{Matches: []Match{{Value: []byte{2}}}, Action: ActionCall{"none", nil}})
	w := e.NewWorker()
	for frame, want := range map[string]string{"\x00\x01": "MM", "\x00\x02": "\x00\x00", "\x00\x03": "\x00\x00"} {
		if got := one(t, w, 1, frame+"\x00\x00"+tail); got.frame[2:4] != want {
			t.Errorf("%x: got %x", frame, got.frame)
		}
	}
	if err := tb.SetDefault(fwdTo(1)); err != nil {
		t.Fatal(err)
	}
	if got := one(t, w, 1, "\x00\x03\x00\x00"+tail); got.frame[2:4] != "MM" {
		t.Errorf("a changed default must branch as its action: got %x", got.frame)
	}
}

func TestDirectMeter(t *testing.T) {
	e := tableProgram("exact", l{key("exact", "h", "a")}, func(p *testProgram, tb m) {
		tb["direct_meters"] = "dm"
		p.root["meter_arrays"] = l{m{"name": "dm", "id": 0, "is_direct": true, "type": "packets", "rate_count": 2, "binding": "t", "result_target": l{"h", "b"}}}
	}).load(t, Options{})
	tb, _ := e.Table("t")
	k := []Match{{Value: []byte{1}}}
	mustInsert(t, tb, Entry{Matches: k, Action: fwdTo(1)})
	if err := tb.WriteMeter(k, 0, &extern.MeterConfig{CIR: 1, CBurst: 1, PIR: 1, PBurst: 2}); err != nil {
		t.Fatal(err)
	}
	w := e.NewWorker()
	for i, want := range []byte{0, 1, 2} {
		if got := one(t, w, 1, "\x00\x01\x00\x09"+tail); got.frame[3] != want {
			t.Errorf("packet %d: color %d, want %d", i, got.frame[3], want)
		}
	}
	if err := tb.WriteMeter(k, 0, nil); err != nil {
		t.Error(err)
	}
	if got := one(t, w, 1, "\x00\x01\x00\x09"+tail); got.frame[3] != 0 {
		t.Errorf("without configuration: color %d", got.frame[3])
	}
	if _, ok, err := tb.ReadMeter(k, 0); ok || err != nil || tb.DirectMeterName() != "dm" {
		t.Errorf("%v %v", ok, err)
	}
}

func TestActionProfileAndSelector(t *testing.T) {
	e := tableProgram("exact", l{key("exact", "h", "a")}, func(p *testProgram, tb m) {
		tb["type"], tb["action_profile"] = "indirect_ws", "ap"
		delete(tb, "default_entry")
		p.profs = l{m{"name": "ap", "id": 0, "max_size": 3, "selector": m{"algo": "identity", "input": l{fld("h", "b")}}}}
	}).load(t, Options{})
	tb, _ := e.Table("t")
	ap, ok := tb.Profile()
	if !ok || !ap.HasSelector() || ap.Size() != 3 {
		t.Fatalf("%+v", ap)
	}
	for i := range uint32(3) {
		if err := ap.InsertMember(Member{i, fwdTo(byte(10 + i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ap.InsertGroup(Group{ID: 1, Members: []GroupMember{{Member: 2, Weight: 1}, {Member: 0, Weight: 2}}}); err != nil {
		t.Fatal(err)
	}
	k := func(b byte) []Match { return []Match{{Value: []byte{b}}} }
	mustInsert(t, tb, Entry{Matches: k(1), Member: 1}, Entry{Matches: k(2), Group: 1, HasGroup: true})
	w := e.NewWorker()
	goesTo(t, w, "\x00\x01\x00\x00"+tail, 11)
	// The slots are in the order of member ids: member 0 twice, then member 2.
	for b, want := range map[string]uint32{"\x00\x00": 10, "\x00\x01": 10, "\x00\x02": 12, "\x00\x03": 10} {
		goesTo(t, w, "\x00\x02"+b+tail, want)
	}
	goesTo(t, w, "\x00\x03\x00\x00"+tail, 0)
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"member twice", ap.InsertMember(Member{0, fwdTo(1)}), ErrExists},
		{"member over the size", ap.InsertMember(Member{7, fwdTo(1)}), ErrFull},
		{"member in an entry", ap.DeleteMember(1), ErrInUse},
		{"member in a group", ap.DeleteMember(2), ErrInUse},
		{"group in an entry", ap.DeleteGroup(1), ErrInUse},
		{"group with an unknown member", ap.InsertGroup(Group{ID: 2, Members: []GroupMember{{Member: 9, Weight: 1}}}), ErrNotFound},
		{"group without weight", ap.InsertGroup(Group{ID: 2, Members: []GroupMember{{Member: 1}}}), ErrInvalid},
		{"entry with an unknown group", tb.Insert(Entry{Matches: k(4), Group: 9, HasGroup: true}), ErrNotFound},
		{"entry with an unknown member", tb.Insert(Entry{Matches: k(4), Member: 9}), ErrNotFound},
		{"entry with an action", tb.Insert(Entry{Matches: k(4), Action: fwdTo(1)}), ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	if err := ap.ModifyMember(Member{0, fwdTo(20)}); err != nil {
		t.Error(err)
	}
	goesTo(t, w, "\x00\x02\x00\x00"+tail, 20)
	if err := ap.ModifyGroup(Group{ID: 1}); err != nil {
		t.Error(err)
	}
	goesTo(t, w, "\x00\x02\x00\x00"+tail, 0) // a hit on an entry with an empty group runs no action
	if err := ap.DeleteMember(2); err != nil {
		t.Error(err)
	}
	if err := tb.Modify(Entry{Matches: k(2), Member: 1}); err != nil {
		t.Error(err)
	}
	if err := ap.DeleteGroup(1); err != nil {
		t.Error(err)
	}
	goesTo(t, w, "\x00\x02\x00\x00"+tail, 11)
}
