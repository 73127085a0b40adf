package p4rtserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An electionID is P4Runtime's 128-bit election id. {0, 0} is the lowest valid id. If the controller leaves the id unset, the *electionID
// is nil, which is lower than any set id (spec 16.2, "Unset Election ID").
type electionID struct{ high, low uint64 }

func electionFrom(u *p4v1.Uint128) *electionID {
	if u == nil {
		return nil
	}
	return &electionID{high: u.High, low: u.Low}
}

func (e *electionID) proto() *p4v1.Uint128 {
	if e == nil {
		return nil
	}
	return &p4v1.Uint128{High: e.high, Low: e.low}
}

// compare orders election ids. nil, which is an unset id, precedes every set id.
func (e *electionID) compare(o *electionID) int {
	switch {
	case e == nil && o == nil:
		return 0
	case e == nil:
		return -1
	case o == nil:
		return 1
	}
	return cmp.Or(cmp.Compare(e.high, o.high), cmp.Compare(e.low, o.low))
}

func (e *electionID) String() string {
	switch {
	case e == nil:
		return "unset"
	case e.high == 0:
		return fmt.Sprint(e.low)
	}
	return fmt.Sprintf("%d:%d", e.high, e.low)
}

// A role is the arbitration state of one (device, role) pair. It is kept after its controllers have disconnected, because the highest
// election id seen is reset only when the server restarts.
type role struct {
	name    string
	live    map[*session]struct{}
	highest *electionID // nil until the role has its first primary
	primary *session    // nil if the role has no primary, or while a new primary waits for writes in progress
}

func (r *role) title() string {
	if r.name == "" {
		return "the default role"
	}
	return fmt.Sprintf("role %q", r.name)
}

// An arbiter selects the primary of every role of a device by the rules of spec chapter 5.
//
// The primary is the connected controller whose election id equals the highest id that the role has ever seen. If the primary disconnects
// or steps down, no other controller replaces it automatically. The role has no primary until a controller arbitrates with an id that is at
// least as high as the highest id seen.
type arbiter struct {
	deviceID   uint64
	maxStreams int // largest number of connected controllers of each role
	maxRoles   int // largest number of named roles; roles are never removed
	// writes is held by every Write in progress. A change of the primary locks it once, to wait until the previous primary's writes have
	// ended.
	writes sync.Locker

	// changed is called with mu held whenever the set of primaries has changed. It may be nil.
	changed func()

	// turn is held by one arbitration at a time, so that notifications are sent in the order in which the primary changes. turn is locked
	// before mu and writes, and never while either of them is held.
	turn sync.Mutex

	// mu guards everything below, and the role, election and gone fields of every session.
	mu    sync.Mutex
	roles map[string]*role

	// primaries holds a copy of the list of all roles' primaries, which the packet path reads without a lock.
	primaries atomic.Pointer[[]*session]
}

func newArbiter(deviceID uint64, maxStreams, maxRoles int, writes sync.Locker) *arbiter {
	a := &arbiter{
		deviceID: deviceID, maxStreams: maxStreams, maxRoles: maxRoles, writes: writes,
		// The default role exists from the start. So a Write for it before any arbitration fails because there is no primary, and not
		// because the role is unknown.
		roles: map[string]*role{"": {live: map[*session]struct{}{}}},
	}
	a.primaries.Store(&[]*session{})
	return a
}

// update handles a controller's MasterArbitrationUpdate (spec 5.3). If it returns an error, which is a gRPC status, the caller must end the
// controller's stream. The stream then withdraws the controller from its role.
func (a *arbiter) update(s *session, m *p4v1.MasterArbitrationUpdate) error {
	a.turn.Lock()
	defer a.turn.Unlock()

	a.mu.Lock()
	r, err := a.admitLocked(s, m)
	if err != nil {
		a.mu.Unlock()
		return err
	}
	id := electionFrom(m.ElectionId)
	was, wasPrimary := s.election, r.primary == s
	s.election = id

	switch {
	case id == nil || id.compare(r.highest) < 0: // a backup
		if wasPrimary {
			r.primary = nil
			a.publishLocked()
			a.notifyLocked(r, nil)
		} else {
			a.informLocked(r, s)
		}
		a.mu.Unlock()
		return nil
	case wasPrimary && was.compare(id) == 0: // a repeated request changes nothing, so other controllers are not notified
		a.informLocked(r, s)
		a.mu.Unlock()
		return nil
	}

	// The controller becomes the primary, or it is the primary already and has raised its id. From now on, every Write for the role is
	// refused, and the other controllers are notified. After the writes in progress have ended, the new primary is notified and may write.
	r.highest, r.primary = id, nil
	a.publishLocked()
	for other := range r.live {
		if other != s {
			other.sendArbitration(a.messageLocked(r, codes.AlreadyExists))
		}
	}
	a.mu.Unlock()

	a.writes.Lock()
	//lint:ignore SA2001 the empty section only waits for the writes in flight
	a.writes.Unlock()

	a.mu.Lock()
	r.primary = s
	a.publishLocked()
	a.informLocked(r, s)
	a.mu.Unlock()
	return nil
}

// admitLocked checks an arbitration message. If the controller is new, admitLocked adds it to its role.
func (a *arbiter) admitLocked(s *session, m *p4v1.MasterArbitrationUpdate) (*role, error) {
	if s.gone {
		return nil, status.Error(codes.Canceled, "arbitration: the stream has ended")
	}
	name := m.GetRole().GetName()
	first := s.role == nil
	if m.DeviceId != a.deviceID {
		if first {
			return nil, a.wrongDevice(m.DeviceId)
		}
		return nil, status.Errorf(codes.FailedPrecondition, "arbitration: device id %d: this stream is bound to device %d", m.DeviceId, a.deviceID)
	}
	if id := deprecatedRoleID(m.GetRole()); id != 0 && name == "" {
		return nil, status.Errorf(codes.InvalidArgument, "arbitration: role.id %d: numeric roles went with P4Runtime 1.4; give role.name", id)
	}
	if !first && s.role.name != name {
		return nil, status.Errorf(codes.FailedPrecondition, "arbitration: role %q: this stream is bound to %s; open another stream for another role", name, s.role.title())
	}
	if m.GetRole().GetConfig() != nil {
		return nil, status.Errorf(codes.InvalidArgument, "arbitration: role.config of type %q: this server knows no role configuration; leave it unset for full pipeline access", m.Role.Config.TypeUrl)
	}
	if len(name) > MaxName {
		return nil, status.Errorf(codes.InvalidArgument, "arbitration: a role's name of %d bytes; at most %d", len(name), MaxName)
	}
	r := a.roles[name]
	if r == nil {
		if len(a.roles) > a.maxRoles {
			return nil, status.Errorf(codes.ResourceExhausted, "arbitration: role %q: the server has seen %d named roles, its limit", name, a.maxRoles)
		}
		r = &role{name: name, live: map[*session]struct{}{}}
	}
	if id := electionFrom(m.ElectionId); id != nil {
		for other := range r.live {
			if other != s && other.election != nil && *other.election == *id {
				return nil, status.Errorf(codes.InvalidArgument, "arbitration: election id %v is in use by another live controller of %s; choose another", id, r.title())
			}
		}
	}
	if first {
		if len(r.live) >= a.maxStreams {
			return nil, status.Errorf(codes.ResourceExhausted, "arbitration: %s has %d open streams, its limit", r.title(), a.maxStreams)
		}
		a.roles[name] = r
		r.live[s] = struct{}{}
		s.role = r
	}
	return r, nil
}

// withdraw removes a controller from its role after the controller's stream has ended. It may be called more than once.
func (a *arbiter) withdraw(s *session) {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := s.role
	if s.gone || r == nil {
		s.gone = true
		return
	}
	s.gone = true
	delete(r.live, s)
	if r.primary == s {
		r.primary = nil
		a.publishLocked()
		a.notifyLocked(r, nil)
	}
}

// notifyLocked notifies every connected controller of a role who the current primary is. If primary is nil, the role has no primary.
func (a *arbiter) notifyLocked(r *role, primary *session) {
	for s := range r.live {
		if s != primary {
			a.informLocked(r, s)
		}
	}
	if primary != nil {
		a.informLocked(r, primary)
	}
}

// informLocked sends a controller its arbitration status (spec 5.4).
func (a *arbiter) informLocked(r *role, s *session) {
	code := codes.AlreadyExists
	switch r.primary {
	case s:
		code = codes.OK
	case nil:
		code = codes.NotFound
	}
	s.sendArbitration(a.messageLocked(r, code))
}

func (a *arbiter) messageLocked(r *role, code codes.Code) *p4v1.MasterArbitrationUpdate {
	m := &p4v1.MasterArbitrationUpdate{
		DeviceId:   a.deviceID,
		ElectionId: r.highest.proto(),
		Status:     &rpcstatus.Status{Code: int32(code)},
	}
	if r.name != "" {
		m.Role = &p4v1.Role{Name: r.name}
	}
	switch code {
	case codes.OK:
		m.Status.Message = "you are the primary of " + r.title()
	case codes.AlreadyExists:
		m.Status.Message = fmt.Sprintf("you are a backup of %s; its primary has election id %v", r.title(), r.highest)
	case codes.NotFound:
		m.Status.Message = fmt.Sprintf("you are a backup of %s, which has no primary; one needs an election id of at least %v", r.title(), orZero(r.highest))
	}
	return m
}

func orZero(id *electionID) *electionID {
	if id == nil {
		return &electionID{}
	}
	return id
}

func (a *arbiter) publishLocked() {
	var all []*session
	for _, name := range slices.Sorted(maps.Keys(a.roles)) {
		if p := a.roles[name].primary; p != nil {
			all = append(all, p)
		}
	}
	a.primaries.Store(&all)
	if a.changed != nil {
		a.changed()
	}
}

// authorize checks that a Write or a push comes from the primary. In the order of spec 12, it checks the device, the role and the election
// id. The caller must hold writes until it has finished writing, so that the result stays valid.
func (a *arbiter) authorize(deviceID uint64, roleName string, roleID uint64, election *p4v1.Uint128) error {
	if deviceID != a.deviceID {
		return a.wrongDevice(deviceID)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.roles[roleName]
	if r == nil || (roleName == "" && roleID != 0) {
		return a.wrongRole(roleName, roleID)
	}
	id := electionFrom(election)
	switch {
	case r.primary == nil:
		return status.Errorf(codes.PermissionDenied, "%s of device %d has no primary; arbitrate on a StreamChannel with an election id of at least %v first", r.title(), a.deviceID, orZero(r.highest))
	case id == nil || *id != *r.primary.election:
		return status.Errorf(codes.PermissionDenied, "election id %v is not the primary's: the primary of %s has %v", id, r.title(), r.primary.election)
	}
	return nil
}

// known checks the device and the role of a request that any controller may send.
func (a *arbiter) known(deviceID uint64, roleName string) error {
	if deviceID != a.deviceID {
		return a.wrongDevice(deviceID)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.roles[roleName] == nil {
		return a.wrongRole(roleName, 0)
	}
	return nil
}

// isPrimary reports whether a controller is currently the primary of its role.
func (a *arbiter) isPrimary(s *session) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.role != nil && s.role.primary == s
}

func (a *arbiter) wrongDevice(id uint64) error {
	return status.Errorf(codes.NotFound, "device id %d: not known here; this server's device is %d", id, a.deviceID)
}

func (a *arbiter) wrongRole(name string, id uint64) error {
	if name == "" {
		return status.Errorf(codes.NotFound, "role_id %d: numeric roles went with P4Runtime 1.4; give role", id)
	}
	return status.Errorf(codes.NotFound, "role %q: not known to device %d; a role comes to be when a controller arbitrates for it", name, a.deviceID)
}

// deprecatedRoleID returns the numeric role id that a controller older than P4Runtime 1.4 may send. The field is read by reflection,
// because the generated accessor is marked deprecated.
func deprecatedRoleID(r *p4v1.Role) uint64 {
	if r == nil {
		return 0
	}
	m := r.ProtoReflect()
	return m.Get(m.Descriptor().Fields().ByName("id")).Uint()
}
