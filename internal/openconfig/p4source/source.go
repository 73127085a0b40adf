// Package p4source implements the gNMI server's Source for a switch that only supports P4Runtime. It reads the counters of ACL entries,
// lines and legs from the P4 counters that the program has marked, and interface counters from a Links.
//
// The package finds the counters by annotations in the P4Info (see Find), and so depends on no P4 name. It opens no connection itself,
// because the caller provides the function that reads. It writes nothing, so it does not take part in the arbitration.
package p4source

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/openconfig"
)

// DefaultRescan is the interval at which a watched source reads the counters to find new ACL entries, because P4Runtime does not report
// changes of counters.
const DefaultRescan = 10 * time.Second

// A ReadFunc sends one P4Runtime Read request with these entities, and returns the entities of all its responses.
type ReadFunc func(ctx context.Context, entities []*p4v1.Entity) ([]*p4v1.Entity, error)

// A Link is the state of the interface behind a port.
type Link struct {
	Index    uint32 // the kernel's index; 0 if there is none
	Oper     openconfig.OperStatus
	Admin    openconfig.AdminStatus        // empty if unknown
	Counters *openconfig.InterfaceCounters // nil if frames are not counted
}

// Links provides the state of the interfaces behind the ports. Kernel implements it for Linux interfaces.
type Links interface {
	// Link returns the state of the interface with the given name. If there is no such interface, ok is false, and the interface is served
	// as not present, without counters.
	Link(ctx context.Context, name string) (l Link, ok bool, err error)
	// Watch calls changed whenever a link is added, removed or changes state, until ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// A Config configures a Source.
type Config struct {
	// Ports maps P4Runtime ports to interface names.
	Ports map[uint32]string
	// Read reads counter cells.
	Read ReadFunc
	// Links provides the state of the interfaces. If it is nil, every interface is served as up and without interface counters.
	Links Links
	// Hostname is the name of the host that serves the switch, and Version is the version of its software. They are empty if unknown.
	Hostname, Version string
	// Rescan is the interval at which a watched source reads by itself; 0 means DefaultRescan.
	Rescan time.Duration
}

// A Source is an openconfig.Source over P4Runtime. It serves no ACL until SetLayout is called.
//
// A Snapshot with PartACL reads 2^rule_bits cells for each port. PartLines reads the cells of all lines. For op25b.p4 these are 65,536
// cells, which bmv2 sends in a message of about 2 MB. PartLegs reads the table with its counters, at most twice its size in entities.
type Source struct {
	ports             []port // ordered by number
	read              ReadFunc
	links             Links
	hostname, version string
	rescan            time.Duration

	unprobed Unprobed // of the readings; guarded by reading

	reading sync.Mutex // held while counters are read, so that readings are in order and a counter that has decreased has restarted

	// mu guards everything below.
	mu        sync.Mutex
	layout    Layout
	boot      time.Time       // the time at which the counters began, if known; zero before the first layout
	met       map[cell]uint64 // the packets of the entries that have been served; such entries are served even after a reset of their counter
	lines     uint64          // the packets of all lines in the last reading
	following bool            // Follow is running, and counts the changes of links
	watchers  map[*func()]struct{}
	readAt    time.Time           // the start of the last Snapshot with PartACL
	pasts     map[string]linkPast // the history of each interface, by name
}

var _ openconfig.Source = (*Source)(nil)

type port struct {
	number uint32
	name   string
}

type cell struct{ port, rule uint32 }

// New returns a source. It returns an error that wraps ErrConfig and names the port if an interface name is empty or used twice.
func New(cfg Config) (*Source, error) {
	if cfg.Read == nil {
		return nil, fmt.Errorf("%w: no read function", ErrConfig)
	}
	if cfg.Rescan < 0 {
		return nil, fmt.Errorf("%w: rescan interval %v: it must be > 0, or 0 for %v", ErrConfig, cfg.Rescan, DefaultRescan)
	}
	if cfg.Rescan == 0 {
		cfg.Rescan = DefaultRescan
	}
	s := &Source{
		read: cfg.Read, links: cfg.Links, rescan: cfg.Rescan, hostname: cfg.Hostname, version: cfg.Version,
		watchers: make(map[*func()]struct{}), pasts: make(map[string]linkPast),
	}
	users := make(map[string]uint32, len(cfg.Ports))
	for _, n := range slices.Sorted(maps.Keys(cfg.Ports)) {
		name := cfg.Ports[n]
		if name == "" {
			return nil, fmt.Errorf("%w: port %d has no interface name", ErrConfig, n)
		}
		if other, used := users[name]; used {
			return nil, fmt.Errorf("%w: interface %q is both port %d and port %d", ErrConfig, name, other, n)
		}
		users[name] = n
		s.ports = append(s.ports, port{n, name})
	}
	return s, nil
}

// SetLayout sets the layout of the running program's counters. boot is the time at which they began, or zero if it is not known. If a port's
// cells are outside the ACL counter, SetLayout returns ErrConfig and changes nothing.
func (s *Source) SetLayout(l Layout, boot time.Time) error {
	if l.ACL != nil {
		for _, p := range s.ports {
			if int64(p.number) >= l.ACL.Ports() {
				return fmt.Errorf("%w: port %d (%s): counter %q has %d cells, %d a port: ports 0 to %d fit",
					ErrConfig, p.number, p.name, l.ACL.CounterName, l.ACL.Size, l.ACL.Rules(), l.ACL.Ports()-1)
			}
		}
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	s.layout, s.met, s.lines, s.boot = l, make(map[cell]uint64), 0, boot
	s.mu.Unlock()
	s.tell()
	return nil
}

// maxReadings limits the readings of one Snapshot. A Snapshot needs that many only if the counters restart during each reading.
const maxReadings = 3

// Snapshot reads the links. It also sends one Read for each port if PartACL is requested, one for PartLines and one for PartLegs.
func (s *Source) Snapshot(ctx context.Context, parts openconfig.Parts) (*openconfig.State, error) {
	if parts != 0 {
		s.reading.Lock()
		defer s.reading.Unlock()
	}
	for n := 1; ; n++ {
		s.mu.Lock()
		boot := s.boot
		s.mu.Unlock()
		st, err := s.readOnce(ctx, parts)
		if err != nil {
			return nil, err
		}
		// If the counters restarted during the reading, some of its values may be from before the restart.
		if st.System.BootTime.Equal(boot) || n == maxReadings {
			return st, nil
		}
	}
}

// readOnce performs one reading.
func (s *Source) readOnce(ctx context.Context, parts openconfig.Parts) (*openconfig.State, error) {
	s.mu.Lock()
	layout := s.layout
	if parts&openconfig.PartACL != 0 {
		s.readAt = time.Now()
	}
	s.mu.Unlock()
	st := &openconfig.State{System: &openconfig.System{Hostname: s.hostname, SoftwareVersion: layout.Version(s.version)}}
	fresh := false
	for _, p := range s.ports {
		in, err := s.readLink(ctx, p)
		if err != nil {
			return nil, err
		}
		if layout.ACL != nil && parts&openconfig.PartACL != 0 {
			acl, isNew, err := s.readPort(ctx, layout.ACL, p)
			if err != nil {
				return nil, err
			}
			in.ACL = acl
			fresh = fresh || isNew
		}
		st.Interfaces = append(st.Interfaces, in)
	}
	if layout.ACL != nil { // lines and legs are served below the ACL set
		st.ACLSet = layout.ACL.Set
		if err := s.readRest(ctx, layout, parts, st); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	st.System.BootTime, st.System.Clock = s.boot, time.Now()
	s.mu.Unlock()
	if fresh {
		s.tell()
	}
	return st, nil
}

// readRest reads the lines and the legs.
func (s *Source) readRest(ctx context.Context, layout Layout, parts openconfig.Parts, st *openconfig.State) (err error) {
	if layout.Lines != nil && parts&openconfig.PartLines != 0 {
		if st.Lines, err = s.readLines(ctx, layout.Lines); err != nil {
			return err
		}
		all := uint64(0)
		for _, l := range st.Lines {
			all += l.Passed.Packets + l.Monitored.Packets + l.Stopped.Packets + l.Unsolicited.Packets
		}
		s.mu.Lock()
		if all < s.lines {
			s.boot = time.Now()
		}
		s.lines = all
		s.mu.Unlock()
	}
	if layout.Legs != nil && parts&openconfig.PartLegs != 0 {
		if st.Legs, err = s.readLegs(ctx, layout.Legs); err != nil {
			return err
		}
		if layout.Probes != nil {
			cells, err := s.readCells(ctx, layout.Probes.CounterID, layout.Probes.CounterName, layout.Probes.Size)
			if err != nil {
				return err
			}
			st.Legs = s.unprobed.Take(st.Legs, layout.Probes, func(i int64) openconfig.Tally { return cells[i] })
		}
	}
	return nil
}

// readLink returns the interface of a port without its ACL counters.
func (s *Source) readLink(ctx context.Context, p port) (openconfig.Interface, error) {
	in := openconfig.Interface{Name: p.name, Port: p.number, Oper: openconfig.OperUp}
	if s.links == nil {
		return in, nil
	}
	l, ok, err := s.links.Link(ctx, p.name)
	if err != nil {
		return in, fmt.Errorf("interface %q: %w", p.name, err)
	}
	if !ok {
		l = Link{Oper: openconfig.OperNotPresent}
	}
	in.IfIndex, in.Oper, in.Admin, in.Counters = l.Index, l.Oper, l.Admin, l.Counters
	past, following := s.seen(p.name, l)
	in.LastChange, in.LastClear = past.changed, past.clear
	if following && past.index != 0 {
		in.Transitions = &past.transitions
	}
	return in, nil
}

// readPort reads the cells of one port. An entry is served once its rule has counted a packet. fresh reports whether an entry is in a result
// for the first time.
func (s *Source) readPort(ctx context.Context, layout *ACLLayout, p port) (acl []openconfig.ACLEntry, fresh bool, err error) {
	rules := uint32(layout.Rules())
	entities := make([]*p4v1.Entity, 0, rules)
	for rule := range rules {
		entities = append(entities, &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{
			CounterId: layout.CounterID,
			Index:     &p4v1.Index{Index: layout.Index(p.number, rule)},
		}}})
	}
	answer, err := s.read(ctx, entities)
	if err != nil {
		return nil, false, fmt.Errorf("counter %q of port %d (%s): %w", layout.CounterName, p.number, p.name, err)
	}
	values := make([]*p4v1.CounterData, rules)
	for _, e := range answer {
		c := e.GetCounterEntry()
		if c == nil || c.GetCounterId() != layout.CounterID || c.GetIndex() == nil {
			return nil, false, fmt.Errorf("%w: counter %q of port %d (%s): got %v", ErrRead, layout.CounterName, p.number, p.name, e)
		}
		number, rule := layout.Split(c.GetIndex().GetIndex())
		if number != p.number || values[rule] != nil || c.GetData().GetPacketCount() < 0 || c.GetData().GetByteCount() < 0 {
			return nil, false, fmt.Errorf("%w: counter %q of port %d (%s): got %v", ErrRead, layout.CounterName, p.number, p.name, e)
		}
		values[rule] = c.GetData()
		if values[rule] == nil { // the data of a cell with zero counts may be absent
			values[rule] = &p4v1.CounterData{}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for rule, v := range values {
		if v == nil {
			return nil, false, fmt.Errorf("%w: counter %q of port %d (%s): the cell of rule %d is missing", ErrRead, layout.CounterName, p.number, p.name, rule)
		}
		at := cell{p.number, uint32(rule)}
		packets := uint64(v.GetPacketCount())
		was, met := s.met[at]
		switch {
		case !met && packets == 0:
			continue
		case !met:
			fresh = true
		case packets < was: // the switch has restarted, or a client has reset the counter
			s.boot = time.Now()
		}
		s.met[at] = packets
		acl = append(acl, openconfig.ACLEntry{
			SequenceID: at.rule, MatchedPackets: uint64(v.GetPacketCount()), MatchedOctets: uint64(v.GetByteCount()),
		})
	}
	return acl, fresh, nil
}

// Watch calls changed after changes of links, after a new layout, and when any reading has found new entries. If nobody else has read for
// Rescan, Watch reads the counters itself to find new entries.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	s.mu.Lock()
	s.watchers[&changed] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, &changed)
		s.mu.Unlock()
	}()
	changed()

	ctx, cancel := context.WithCancel(ctx)
	var links chan error // without links, the channel is nil and never ready
	if s.links != nil {
		links = make(chan error, 1)
		go func() { links <- s.links.Watch(ctx, changed); close(links) }()
		defer func() {
			for range links { // wait for Links.Watch to end
			}
		}()
	}
	defer cancel()
	rescan := time.NewTicker(s.rescan)
	defer rescan.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-links:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watching links: %w", err)
		case <-rescan.C:
			s.mu.Lock()
			recent := time.Since(s.readAt) < s.rescan // another reader has read recently
			s.mu.Unlock()
			if !recent {
				// Snapshot notifies the watchers of new entries. The error is ignored, because the next reader gets it.
				_, _ = s.Snapshot(ctx, openconfig.PartACL)
			}
		}
	}
}

func (s *Source) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		(*w)()
	}
}
