package engine

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// An stfRun is a test of p4c's corpus. Its commands are those of p4c's runner for bmv2: add, setdefault, packet, expect and the commands
// of simple_switch_CLI.
type stfRun struct {
	e        *Engine
	w        *Worker
	got      map[uint32][][]byte
	want     map[uint32][]string
	nodes    [][]Replica      // replicas of each mc_node_create command; the index is the handle
	groups   map[uint32][]int // node handles of each group
	sessions map[uint32]uint32
}

// TestSTF runs every NAME.json with NAME.stf in OP25B_STF_DIR. If OP25B_STF_SRC is set, it names the directory of the .stf files.
func TestSTF(t *testing.T) {
	dir := os.Getenv("OP25B_STF_DIR")
	if dir == "" {
		t.Skip("OP25B_STF_DIR is not set: it names a directory of p4c's samples, NAME.json and NAME.stf")
	}
	src := os.Getenv("OP25B_STF_SRC")
	if src == "" {
		src = dir
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.json in %s (%v)", dir, err)
	}
	passed, ran := 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		stf, err := os.ReadFile(filepath.Join(src, name+".stf"))
		if err != nil {
			continue
		}
		ran++
		ok := t.Run(name, func(t *testing.T) {
			prog, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := runSTF(prog, string(stf)); err != nil {
				t.Error(err)
			}
		})
		if ok {
			passed++
		}
	}
	t.Logf("%d of %d STF tests pass", passed, ran)
}

// TestLoadCorpus loads every program in OP25B_STF_DIR and sends it one frame of zeros.
func TestLoadCorpus(t *testing.T) {
	dir := os.Getenv("OP25B_STF_DIR")
	if dir == "" {
		t.Skip("OP25B_STF_DIR is not set: it names a directory of compiled v1model programs")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	loaded := 0
	for _, f := range files {
		prog, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Load(prog, Options{})
		if filepath.Base(f) == "extract_for_header_union.json" && errors.Is(err, ErrProgram) {
			continue // p4c names a header union where a header type is required, and bmv2 refuses such a program too
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		loaded++
		e.NewWorker().Process(1, make([]byte, 100), func(uint32, []byte) {})
	}
	t.Logf("%d of %d programs load", loaded, len(files))
}

func runSTF(prog []byte, script string) error {
	e, err := Load(prog, Options{})
	if err != nil {
		return err
	}
	r := &stfRun{
		e: e, w: e.NewWorker(), got: map[uint32][][]byte{}, want: map[uint32][]string{}, groups: map[uint32][]int{},
		sessions: map[uint32]uint32{},
	}
	for i, line := range strings.Split(script, "\n") {
		if at := strings.IndexByte(line, '#'); at >= 0 {
			line = line[:at]
		}
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if err := r.command(line); err != nil {
			return fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
	}
	return r.compare()
}

func (r *stfRun) command(line string) error {
	cmd, rest, _ := strings.Cut(line, " ")
	f := strings.Fields(rest)
	nums := make([]uint32, len(f))
	for i := range f {
		n, _ := strconv.ParseUint(f[i], 0, 32)
		nums[i] = uint32(n)
	}
	switch strings.ToLower(cmd) {
	case "packet":
		b, err := hex.DecodeString(strings.Join(f[1:], ""))
		if err != nil {
			return err
		}
		r.w.Process(nums[0], b, func(port uint32, frame []byte) {
			r.got[port] = append(r.got[port], bytes.Clone(frame))
		})
	case "expect":
		r.want[nums[0]] = append(r.want[nums[0]], strings.ToLower(strings.Join(f[1:], "")))
	case "add":
		return r.add(rest)
	case "setdefault":
		name, call, _ := strings.Cut(rest, " ")
		t, err := r.table(name)
		if err != nil {
			return err
		}
		c, err := r.call(t, call)
		if err != nil {
			return err
		}
		return t.SetDefault(c)
	case "mc_mgrp_create":
		r.groups[nums[0]] = nil
		return r.replicate()
	case "mc_node_create":
		var node []Replica
		for _, p := range nums[1:] {
			node = append(node, Replica{Port: p, Instance: nums[0]})
		}
		r.nodes = append(r.nodes, node)
	case "mc_node_associate":
		r.groups[nums[0]] = append(r.groups[nums[0]], int(nums[1]))
		return r.replicate()
	case "mirroring_add":
		return r.e.SetCloneSession(nums[0], CloneSession{Replicas: []Replica{{Port: nums[1]}}})
	case "mirroring_add_mc":
		r.sessions[nums[0]] = nums[1]
		return r.replicate()
	case "register_write":
		reg, ok := r.e.Register(f[0])
		if !ok {
			return fmt.Errorf("no register")
		}
		return reg.Write(int(nums[1]), big.NewInt(int64(nums[2])).Bytes())
	case "register_reset":
		reg, ok := r.e.Register(f[0])
		if !ok {
			return fmt.Errorf("no register")
		}
		reg.Reset()
	case "meter_set_rates":
		return r.meter(f[0], int(nums[1]), f[2:])
	case "meter_array_set_rates":
		m, ok := r.e.Meter(f[0])
		if !ok {
			return fmt.Errorf("no meter")
		}
		for i := range m.Size() {
			if err := r.meter(f[0], i, f[1:]); err != nil {
				return err
			}
		}
	case "mirroring_get", "register_read", "meter_get_rates", "wait", "no_packet", "counter_read":
	default:
		return fmt.Errorf("unknown command")
	}
	return nil
}

// meter configures a meter with rates in units per microsecond, as simple_switch_CLI does.
func (r *stfRun) meter(name string, index int, rates []string) error {
	m, ok := r.e.Meter(name)
	if !ok {
		return fmt.Errorf("no meter")
	}
	var rate [2]float64
	var burst [2]int64
	for i := range 2 {
		if _, err := fmt.Sscanf(rates[i], "%f:%d", &rate[i], &burst[i]); err != nil {
			return err
		}
	}
	return m.Write(index, &extern.MeterConfig{CIR: int64(rate[0] * 1e6), CBurst: burst[0], PIR: int64(rate[1] * 1e6), PBurst: burst[1]})
}

// replicate updates the groups and sessions of the engine from the commands executed so far.
func (r *stfRun) replicate() error {
	for id, handles := range r.groups {
		var all []Replica
		for _, h := range handles {
			if h >= len(r.nodes) {
				return fmt.Errorf("no node %d", h)
			}
			all = append(all, r.nodes[h]...)
		}
		if err := r.e.SetMulticastGroup(id, all); err != nil {
			return err
		}
		for s, g := range r.sessions {
			if g == id {
				if err := r.e.SetCloneSession(s, CloneSession{Replicas: all}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *stfRun) table(name string) (*Table, error) {
	if t, ok := r.e.Table(name); ok {
		return t, nil
	}
	for _, t := range r.e.Tables() {
		if strings.HasSuffix(t.Name(), name) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no table %q", name)
}

var stfArg = regexp.MustCompile(`([\w$.]+)\s*:\s*([^\s,)]+)`)

func (r *stfRun) call(t *Table, s string) (ActionCall, error) {
	name, args, _ := strings.Cut(s, "(")
	name = strings.TrimSpace(name)
	full := ""
	for _, a := range t.ActionNames() {
		if a == name || full == "" && strings.HasSuffix(a, name) {
			full = a
		}
	}
	if full == "" {
		return ActionCall{}, fmt.Errorf("no action %q", name)
	}
	given := map[string]string{}
	for _, m := range stfArg.FindAllStringSubmatch(args, -1) {
		given[m[1]] = m[2]
	}
	c := ActionCall{Name: full}
	params, _ := t.ActionParams(full)
	for _, p := range params {
		v, ok := new(big.Int).SetString(given[p.Name], 0)
		if !ok {
			return c, fmt.Errorf("argument %q: %q", p.Name, given[p.Name])
		}
		c.Args = append(c.Args, v.Bytes())
	}
	return c, nil
}

// add parses "table [priority] field:value ... action(name:value, ...)" and inserts the entry. A larger priority wins, because p4c's
// runner passes 10000 minus the priority to bmv2.
func (r *stfRun) add(s string) error {
	name, s, _ := strings.Cut(s, " ")
	t, err := r.table(name)
	if err != nil {
		return err
	}
	s = strings.TrimSpace(s)
	var prio int32
	if m := regexp.MustCompile(`^\d+\s+`).FindString(s); m != "" {
		n, _ := strconv.Atoi(strings.TrimSpace(m))
		prio, s = int32(n), s[len(m):]
	}
	open := strings.IndexByte(s, '(')
	if open < 0 {
		return fmt.Errorf("no action")
	}
	at := strings.LastIndexAny(strings.TrimRight(s[:open], " "), " ")
	c, err := r.call(t, s[at+1:])
	if err != nil {
		return err
	}
	en := Entry{Action: c}
	if t.HasPriority() {
		en.Priority = prio
	}
	keys := t.Key()
	for _, k := range keys {
		m := Match{Wildcard: true}
		if k.Kind == match.Exact {
			m = Match{Value: []byte{0}}
		}
		en.Matches = append(en.Matches, m)
	}
	for _, m := range regexp.MustCompile(`([\w$.\[\]]+)\s*:\s*(\S+)`).FindAllStringSubmatch(s[:at+1], -1) {
		i := stfKey(keys, m[1])
		if i < 0 {
			return fmt.Errorf("no key %q", m[1])
		}
		if en.Matches[i], err = stfMatch(keys[i], m[2]); err != nil {
			return err
		}
	}
	return t.Insert(en)
}

// compare requires exactly the expected packets on every port, in the expected order.
func (r *stfRun) compare() error {
	ports := map[uint32]bool{}
	for p := range r.got {
		ports[p] = true
	}
	for p := range r.want {
		ports[p] = true
	}
	var all []int
	for p := range ports {
		all = append(all, int(p))
	}
	sort.Ints(all)
	for _, p := range all {
		got, want := r.got[uint32(p)], r.want[uint32(p)]
		if len(got) != len(want) {
			return fmt.Errorf("port %d: %d packets, want %d; got %x", p, len(got), len(want), got)
		}
		for i, w := range want {
			if err := samePacket(hex.EncodeToString(got[i]), w); err != nil {
				return fmt.Errorf("port %d, packet %d: %w", p, i, err)
			}
		}
	}
	return nil
}

// samePacket compares a packet with the expected one, which consists of hex digits and stars. More bytes may follow unless the expected
// packet ends with a $.
func samePacket(got, want string) error {
	exact := strings.HasSuffix(want, "$")
	want = strings.TrimSuffix(want, "$")
	if len(got) < len(want) || exact && len(got) != len(want) {
		return fmt.Errorf("got %s\nwant %s", got, want)
	}
	for i := range want {
		if want[i] != '*' && want[i] != got[i] {
			return fmt.Errorf("differs at digit %d:\n got %s\nwant %s", i, got, want)
		}
	}
	return nil
}
