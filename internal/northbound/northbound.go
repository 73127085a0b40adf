package northbound

import (
	"context"
	"crypto/tls"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/api"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/openconfig"
	"op25b/internal/store"
	"op25b/internal/telemetry"
)

// Counters provides the counters that this controller collects. *tally.Tally implements Counters.
type Counters interface {
	Raw(name string) (*telemetry.Reading, telemetry.Status, bool)
	Status(name string) (telemetry.Status, bool)
	Watch(name string, changed func()) (stop func(), ok bool)
	// Quiet returns the age of the newest values at which a running subscription ends.
	Quiet() time.Duration
}

// A Config configures a Service.
type Config struct {
	Name     string // the name of this controller
	Store    *store.Store
	Book     *intent.Book
	Counters Counters
	Gate     *api.Gate
	// ACLSet is the name of the pipeline's ACL set.
	ACLSet string
	// PeerTLS returns the TLS configuration for a connection to another controller. It is nil if this controller's gNMI is plain text.
	// Calls are then forwarded in plain text, and only to controllers whose gNMI is also plain text. A controller with TLS never forwards a
	// token in plain text.
	PeerTLS func(host string) (*tls.Config, error)
	// Insecure allows plain-text connections to controllers on other hosts.
	Insecure bool
	// Options are the options of the gNMI server. The zero value is usable.
	Options openconfig.Options
	// Logger may be nil.
	Logger *zap.Logger
}

// A Service is the northbound gNMI service of a controller.
type Service struct {
	cfg   Config
	gnmi  *openconfig.Server
	peers *pool

	// mu guards everything below.
	mu       sync.Mutex
	intent   *intent.Intent    // nil until the first revision is read
	names    map[uint32]string // the names of all rules of intent, by id
	switches map[string]*device
	owners   map[string]store.Holding
	members  map[string]fleet.Addresses
	moved    chan struct{} // closed and replaced when the owner of a switch may have changed
}

// A device is a switch that this controller owns.
type device struct {
	phases   string // the phases in force
	watchers map[*func()]struct{}
	rules    []openconfig.Rule
	ruledBy  *intent.Intent // the revision from which rules was computed; nil if rules must be computed
}

// New returns a service. It returns openconfig.ErrOptions if Options is invalid.
func New(cfg Config) (*Service, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	s := &Service{
		cfg: cfg, peers: newPool(cfg.PeerTLS), switches: make(map[string]*device), owners: make(map[string]store.Holding),
		members: make(map[string]fleet.Addresses), moved: make(chan struct{}),
	}
	cfg.Options.Logger = cfg.Logger
	var err error
	if s.gnmi, err = openconfig.NewTargetServer(targets{s}, cfg.Options); err != nil {
		return nil, err
	}
	return s, nil
}

// Run follows the intent, the owners of switches and the addresses of controllers until ctx ends.
func (s *Service) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	intents, owners, members := s.cfg.Book.Watch(ctx, 0), fleet.WatchOwners(ctx, s.cfg.Store), s.cfg.Store.WatchMembers(ctx)
	for intents != nil || owners != nil || members != nil {
		select {
		case u, ok := <-intents:
			if !ok {
				intents = nil
			} else if u.Intent != nil && u.Intent.Bundle != nil { // without a valid revision, the previous one stays in use
				s.setIntent(u.Intent)
			}
		case all, ok := <-owners:
			if !ok {
				owners = nil
				continue
			}
			now := make(map[string]store.Holding, len(all))
			for _, h := range all {
				now[h.Name] = h
			}
			s.place(func() bool {
				same := maps.Equal(s.owners, now)
				s.owners = now
				return !same
			})
		case all, ok := <-members:
			if !ok {
				members = nil
				continue
			}
			now := make(map[string]fleet.Addresses, len(all))
			for _, m := range all {
				now[m.Name] = fleet.AddressesOf(m)
			}
			s.place(func() bool {
				same := maps.Equal(s.members, now)
				s.members = now
				return !same
			})
		}
	}
}

// place calls change with mu locked, and wakes the streams if change returns true.
func (s *Service) place(change func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if change() {
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// setIntent replaces the revision. It notifies the subscribers of all switches, because the descriptions of rules may change.
func (s *Service) setIntent(in *intent.Intent) {
	names := make(map[uint32]string)
	for name, id := range in.Numbers.RuleIDs() {
		names[uint32(id)] = name
	}
	s.place(func() bool {
		s.intent, s.names = in, names
		for _, d := range s.switches {
			d.tell()
		}
		return true // a switch may have left the inventory
	})
}

// Follow records the state of a switch. The calls for one switch must be made in the order of its states.
func (s *Service) Follow(st fleet.Status) {
	s.place(func() bool {
		d := s.switches[st.Switch]
		if st.Ownership != fleet.Owned {
			delete(s.switches, st.Switch)
			return d != nil
		}
		isNew := d == nil
		if isNew {
			d = &device{watchers: make(map[*func()]struct{})}
			s.switches[st.Switch] = d
		}
		if st.InForce != "" && st.InForce != d.phases {
			d.phases, d.ruledBy = st.InForce, nil
			d.tell()
		}
		return isNew
	})
}

// tell calls the watchers, which do not block.
func (d *device) tell() {
	for w := range d.watchers {
		(*w)()
	}
}
