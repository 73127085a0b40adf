package p4rt

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Defaults of Config and KeepConfig.
const (
	// DefaultBatchSize is the number of updates in one WriteRequest. Measured on bmv2 with one LPM table: 177,200
	// entries a second at 100, 232,799 at 1,000 and 246,888 at 10,000. 1,000 has 94 % of the best, takes 4.3 ms a
	// batch (58 ms on a switch that takes 17,303 a second), and is the most that one lost answer leaves in doubt.
	DefaultBatchSize = 1_000

	// DefaultMaxBatchBytes ends a batch early. A gRPC server accepts 4 MiB a message by default; 1,000 table
	// entries are about 0.1 MiB, but 1,000 multicast groups of 8,192 replicas would be 80 MiB. 1 MiB is left for the
	// rest of the request and for a last update of unusual size.
	DefaultMaxBatchBytes = 3 << 20

	// DefaultMaxReceiveBytes is the largest message taken from a switch. gRPC's own limit is 4 MiB, but bmv2 answers
	// a read in one message: at 100 to 250 bytes an entry with its counter, the 110,000 entries of a full switch are
	// 11 to 28 MiB. 256 MiB is about ten times that, and keeps a mad server from taking all memory.
	DefaultMaxReceiveBytes = 256 << 20

	// DefaultQueueSize is how many stream messages of each kind (digests, packets in, idle timeouts, errors) wait
	// for their reader before the next one is dropped and counted.
	DefaultQueueSize = 256

	// DefaultDialTimeout covers connecting, opening the stream and the answer to the arbitration.
	DefaultDialTimeout = 10 * time.Second

	// DefaultCallTimeout is how long one request may go without an answer: a write batch, a configuration read, or,
	// while reading, the next message. The slowest write rate known of in public, 17,303 entries a second, answers a
	// batch in 58 ms; a switch of 100 entries a second would need 10 s.
	DefaultCallTimeout = 30 * time.Second

	// DefaultPushTimeout covers a pipeline push, which on hardware reprograms the chip.
	DefaultPushTimeout = 2 * time.Minute

	// DefaultCancelGrace is how long a write batch that is under way when its context is cancelled may still be
	// answered, so that the caller learns what was applied. 17 times the 58 ms of DefaultCallTimeout.
	DefaultCancelGrace = time.Second

	// DefaultProbeTimeout is how long Probe waits for an answer if its context does not end sooner.
	DefaultProbeTimeout = 5 * time.Second

	// DefaultTCPUserTimeout is how long sent data may stay unacknowledged before the kernel gives the connection up.
	DefaultTCPUserTimeout = 15 * time.Second
)

// An ElectionID orders the controllers of one switch; the highest that the switch has seen is the primary's (section
// 5).
type ElectionID struct{ High, Low uint64 }

// IsZero reports whether the id is {0, 0}, which Config does not accept.
func (id ElectionID) IsZero() bool { return id == ElectionID{} }

// Compare returns -1, 0 or +1 as id is lower than, equal to or higher than other.
func (id ElectionID) Compare(other ElectionID) int {
	return cmp.Or(cmp.Compare(id.High, other.High), cmp.Compare(id.Low, other.Low))
}

// String renders the low word in decimal, with the high word before it and a slash if it is not 0.
func (id ElectionID) String() string {
	low := strconv.FormatUint(id.Low, 10)
	if id.High == 0 {
		return low
	}
	return strconv.FormatUint(id.High, 10) + "/" + low
}

func (id ElectionID) proto() *p4v1.Uint128 { return &p4v1.Uint128{High: id.High, Low: id.Low} }

// A Config has the switch of a session, and the identity of the controller. The zero value of every field but Addr, and for a
// Session ElectionID, means its default.
type Config struct {
	// Addr is the switch's P4Runtime server, host:port.
	Addr string
	// DeviceID names the switch behind Addr. bmv2's own default is 0, which section 5.1 does not allow elsewhere.
	DeviceID uint64
	// ElectionID must be higher than that of every controller that owned the switch before.
	ElectionID ElectionID
	// Role is the role's name; empty is the default role with access to the whole pipeline. bmv2 knows no other.
	Role string

	// TLS secures the connection; nil means plain text. Without ServerName in it the switch's certificate must be for
	// the host of Addr. A VerifyConnection finds that host as the state's ServerName also if it is an IP address.
	TLS *tls.Config
	// DialOptions come after the session's own, and win over them. Keepalive parameters do not belong here:
	// a C-core server such as bmv2's hangs up on a client that pings every 10 s after 50 s. Probe exists for that.
	DialOptions []grpc.DialOption

	BatchSize       int // updates in a write request; DefaultBatchSize
	MaxBatchBytes   int // bytes in a write request; DefaultMaxBatchBytes
	MaxReceiveBytes int // bytes in a message from the switch; DefaultMaxReceiveBytes
	QueueSize       int // stream messages of each kind; DefaultQueueSize

	DialTimeout    time.Duration // DefaultDialTimeout
	CallTimeout    time.Duration // DefaultCallTimeout
	PushTimeout    time.Duration // DefaultPushTimeout
	CancelGrace    time.Duration // DefaultCancelGrace
	ProbeTimeout   time.Duration // DefaultProbeTimeout
	TCPUserTimeout time.Duration // DefaultTCPUserTimeout; Linux only

	// Recorder records the requests and answers of sessions, not of Readers. It may be nil. A recorder is for one
	// switch, because Replay sends to one switch.
	Recorder *Recorder
	// Logger may be nil.
	Logger *zap.Logger
}

// withDefaults returns the completed configuration, or ErrConfig with the field, its value and what would be valid.
func (c Config) withDefaults() (Config, error) {
	if _, port, err := net.SplitHostPort(c.Addr); err != nil || port == "" {
		return Config{}, fmt.Errorf("%w: address %q: must be host:port, such as 192.0.2.1:9559", ErrConfig, c.Addr)
	}
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"batch size", &c.BatchSize, DefaultBatchSize},
		{"max batch bytes", &c.MaxBatchBytes, DefaultMaxBatchBytes},
		{"max receive bytes", &c.MaxReceiveBytes, DefaultMaxReceiveBytes},
		{"queue size", &c.QueueSize, DefaultQueueSize},
	} {
		if *f.value < 0 {
			return Config{}, fmt.Errorf("%w: %s %d: must be > 0, or 0 for %d", ErrConfig, f.name, *f.value, f.def)
		}
		*f.value = cmp.Or(*f.value, f.def)
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"dial timeout", &c.DialTimeout, DefaultDialTimeout},
		{"call timeout", &c.CallTimeout, DefaultCallTimeout},
		{"push timeout", &c.PushTimeout, DefaultPushTimeout},
		{"cancel grace", &c.CancelGrace, DefaultCancelGrace},
		{"probe timeout", &c.ProbeTimeout, DefaultProbeTimeout},
		{"TCP user timeout", &c.TCPUserTimeout, DefaultTCPUserTimeout},
	} {
		if *f.value < 0 {
			return Config{}, fmt.Errorf("%w: %s %v: must be > 0, or 0 for %v", ErrConfig, f.name, *f.value, f.def)
		}
		*f.value = cmp.Or(*f.value, f.def)
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	c.Logger = c.Logger.With(zap.String("switch", c.Addr), zap.Uint64("device", c.DeviceID))
	return c, nil
}

// checkElection refuses the election id 0: the caller forgot to set it, and it loses to every other id.
func (c Config) checkElection() error {
	if c.ElectionID.IsZero() {
		return fmt.Errorf("%w: election id 0: must be > 0; DialReader reads without one", ErrConfig)
	}
	return nil
}
