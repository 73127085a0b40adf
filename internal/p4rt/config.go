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

// Default values of Config and KeepConfig.
const (
	// DefaultBatchSize is the number of updates in one WriteRequest. On bmv2 with one LPM table, 100 updates per
	// batch reached 177,200 entries per second, 1,000 reached 232,799, and 10,000 reached 246,888. 1,000 has 94 % of
	// the best rate and takes 4.3 ms per batch, or 58 ms on a switch that accepts 17,303 entries per second. A lost
	// answer leaves at most 1,000 updates in doubt.
	DefaultBatchSize = 1_000

	// DefaultMaxBatchBytes limits the size of a batch. A gRPC server accepts messages of 4 MiB by default. 1,000
	// table entries take about 0.1 MiB, but 1,000 multicast groups of 8,192 replicas would take 80 MiB. 1 MiB is left
	// for the rest of the request and for a last update of unusual size.
	DefaultMaxBatchBytes = 3 << 20

	// DefaultMaxReceiveBytes is the largest message accepted from a switch. gRPC's own limit is 4 MiB, but bmv2
	// answers a read in one message. At 100 to 250 bytes per entry with its counter, the 110,000 entries of a full
	// switch take 11 to 28 MiB. 256 MiB is about ten times that, and prevents a faulty server from exhausting memory.
	DefaultMaxReceiveBytes = 256 << 20

	// DefaultQueueSize is the number of stream messages of each kind (digests, packets in, idle timeouts, errors)
	// that wait for their reader. Further messages are dropped and counted.
	DefaultQueueSize = 256

	// DefaultDialTimeout limits connecting, opening the stream and waiting for the answer to the arbitration.
	DefaultDialTimeout = 10 * time.Second

	// DefaultCallTimeout is how long a request waits for an answer to a write batch, for a configuration, or, in a
	// read, for the next message. At the slowest published write rate, 17,303 entries per second, a switch answers a
	// batch in 58 ms. A switch that writes 100 entries per second would need 10 s.
	DefaultCallTimeout = 30 * time.Second

	// DefaultPushTimeout limits a pipeline push, which reprograms the chip on hardware.
	DefaultPushTimeout = 2 * time.Minute

	// DefaultCancelGrace is how long a write batch in progress may still be answered after its context is cancelled,
	// so that the caller learns which updates were applied. It is 17 times the 58 ms of DefaultCallTimeout.
	DefaultCancelGrace = time.Second

	// DefaultProbeTimeout is how long Probe waits for an answer if its context does not end sooner.
	DefaultProbeTimeout = 5 * time.Second

	// DefaultTCPUserTimeout is how long sent data may stay unacknowledged before the kernel closes the connection.
	DefaultTCPUserTimeout = 15 * time.Second
)

// An ElectionID ranks the controllers of one switch. The primary has the highest id that the switch
// has seen (section 5).
type ElectionID struct{ High, Low uint64 }

// IsZero reports whether the id is {0, 0}, which Config does not accept.
func (id ElectionID) IsZero() bool { return id == ElectionID{} }

// Compare returns -1, 0 or +1 if id is lower than, equal to or higher than other.
func (id ElectionID) Compare(other ElectionID) int {
	return cmp.Or(cmp.Compare(id.High, other.High), cmp.Compare(id.Low, other.Low))
}

// String returns the low word in decimal. If the high word is not 0, it precedes the low word, separated by a slash.
func (id ElectionID) String() string {
	low := strconv.FormatUint(id.Low, 10)
	if id.High == 0 {
		return low
	}
	return strconv.FormatUint(id.High, 10) + "/" + low
}

func (id ElectionID) proto() *p4v1.Uint128 { return &p4v1.Uint128{High: id.High, Low: id.Low} }

// A Config identifies the switch of a session and the controller. The zero value of a field means its default. Addr
// has no default, nor has ElectionID for a Session.
type Config struct {
	// Addr is the switch's P4Runtime server, host:port.
	Addr string
	// DeviceID identifies the switch at Addr. The default of bmv2 is 0, which section 5.1 does not allow for other
	// switches.
	DeviceID uint64
	// ElectionID must be higher than the election id of every controller that owned the switch before.
	ElectionID ElectionID
	// Role is the name of the role. The empty name is the default role, which has access to the whole pipeline. bmv2
	// supports no other role.
	Role string

	// TLS secures the connection; nil means plain text. If its ServerName is empty, the certificate of the switch
	// must be valid for the host of Addr. VerifyConnection receives that host as the ServerName of the connection
	// state, even if it is an IP address.
	TLS *tls.Config
	// DialOptions are applied after the options of the session and override them. They must not set keepalive
	// parameters: a C-core server such as bmv2's closes the connection of a client that pings every 10 s after 50 s.
	// Use Probe instead.
	DialOptions []grpc.DialOption

	BatchSize       int // updates in a write request; DefaultBatchSize if 0
	MaxBatchBytes   int // bytes in a write request; DefaultMaxBatchBytes if 0
	MaxReceiveBytes int // bytes in a message from the switch; DefaultMaxReceiveBytes if 0
	QueueSize       int // stream messages of each kind; DefaultQueueSize if 0

	DialTimeout    time.Duration // DefaultDialTimeout if 0
	CallTimeout    time.Duration // DefaultCallTimeout if 0
	PushTimeout    time.Duration // DefaultPushTimeout if 0
	CancelGrace    time.Duration // DefaultCancelGrace if 0
	ProbeTimeout   time.Duration // DefaultProbeTimeout if 0
	TCPUserTimeout time.Duration // DefaultTCPUserTimeout if 0; Linux only

	// Recorder records the requests and answers of sessions, but not of Readers. It may be nil. Each switch needs its
	// own Recorder, because Replay sends to one switch.
	Recorder *Recorder
	// Logger may be nil.
	Logger *zap.Logger
}

// withDefaults returns the configuration with its defaults. It returns ErrConfig, naming the field, its value and the
// valid values, if a field is invalid.
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

// checkElection returns ErrConfig for the election id 0: the caller forgot to set it, and it loses to every other id.
func (c Config) checkElection() error {
	if c.ElectionID.IsZero() {
		return fmt.Errorf("%w: election id 0: must be > 0; DialReader reads without one", ErrConfig)
	}
	return nil
}
