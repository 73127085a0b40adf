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
	// batch reached 177,200 entries per second, 1,000 reached 232,799, and 10,000 reached 246,888. With 1,000
	// updates, the rate is 94 % of the best rate, and a batch takes 4.3 ms, or 58 ms on a switch that accepts 17,303
	// entries per second. If an answer is lost, the outcome of at most 1,000 updates is unclear.
	DefaultBatchSize = 1_000

	// DefaultMaxBatchBytes is the maximum size of a batch. A gRPC server accepts messages of 4 MiB by default. 1,000
	// table entries take about 0.1 MiB, but 1,000 multicast groups of 8,192 replicas would take 80 MiB. The remaining
	// 1 MiB is for the rest of the request and for a last update of unusual size.
	DefaultMaxBatchBytes = 3 << 20

	// DefaultMaxReceiveBytes is the maximum size of a message from a switch. gRPC's own limit is 4 MiB, but bmv2
	// answers a read in one message. An entry with its counter takes 100 to 250 bytes, so the 110,000 entries of a
	// full switch take 11 to 28 MiB. The limit is about ten times that size. It prevents a faulty server from
	// exhausting memory.
	DefaultMaxReceiveBytes = 256 << 20

	// DefaultQueueSize is the number of stream messages of each kind (digests, packets in, idle timeouts, errors)
	// that may wait until they are read. Further messages are dropped and counted.
	DefaultQueueSize = 256

	// DefaultDialTimeout limits the time to connect, to open the stream and to receive the answer to the arbitration.
	DefaultDialTimeout = 10 * time.Second

	// DefaultCallTimeout is how long a request waits for the answer to a write batch, for a configuration or, during
	// a read, for the next message. At the slowest published write rate, 17,303 entries per second, a switch answers
	// a batch in 58 ms. A switch that writes 100 entries per second would need 10 s.
	DefaultCallTimeout = 30 * time.Second

	// DefaultPushTimeout limits the time of a pipeline push, which reprograms the chip on hardware.
	DefaultPushTimeout = 2 * time.Minute

	// DefaultCancelGrace is how long the switch may take to answer a write batch whose context was cancelled, so that
	// the caller learns which updates were applied. It is 17 times the 58 ms that a batch takes at the slowest
	// published write rate.
	DefaultCancelGrace = time.Second

	// DefaultProbeTimeout is how long Probe waits for an answer, unless its context ends earlier.
	DefaultProbeTimeout = 5 * time.Second

	// DefaultTCPUserTimeout is how long sent data may stay unacknowledged before the kernel closes the connection.
	DefaultTCPUserTimeout = 15 * time.Second
)

// An ElectionID ranks the controllers of one switch. The primary is the controller with the highest id that the
// switch has seen (section 5).
type ElectionID struct{ High, Low uint64 }

// IsZero reports whether the id is {0, 0}, which is not a valid election id for a Session.
func (id ElectionID) IsZero() bool { return id == ElectionID{} }

// Compare returns -1 if id is lower than other, 0 if they are equal, and +1 if id is higher.
func (id ElectionID) Compare(other ElectionID) int {
	return cmp.Or(cmp.Compare(id.High, other.High), cmp.Compare(id.Low, other.Low))
}

// String returns the low word in decimal. If the high word is not 0, the result is the high word, a slash and the low
// word.
func (id ElectionID) String() string {
	low := strconv.FormatUint(id.Low, 10)
	if id.High == 0 {
		return low
	}
	return strconv.FormatUint(id.High, 10) + "/" + low
}

func (id ElectionID) proto() *p4v1.Uint128 { return &p4v1.Uint128{High: id.High, Low: id.Low} }

// A Config identifies the switch and the controller of a session. The zero value of a field means its default. Addr
// must be set, and ElectionID must be set for a Session.
type Config struct {
	// Addr is the address of the switch's P4Runtime server, in the form host:port.
	Addr string
	// DeviceID identifies the switch at Addr. bmv2 uses 0 by default, which section 5.1 does not allow for other
	// switches.
	DeviceID uint64
	// ElectionID must be higher than the election id of every controller that owned the switch before.
	ElectionID ElectionID
	// Role is the name of the controller's role. The empty name is the default role, which has access to the whole
	// pipeline. bmv2 supports no other role.
	Role string

	// TLS is the TLS configuration of the connection; nil means plain text. If its ServerName is empty, the
	// certificate of the switch must be valid for the host of Addr. VerifyConnection receives that host as the
	// ServerName of the connection state, even if the host is an IP address.
	TLS *tls.Config
	// DialOptions are applied after the session's own options and override them. They must not set keepalive
	// parameters. A C-core server such as bmv2's closes the connection of a client that pings every 10 s after 50 s.
	// Use Probe instead.
	DialOptions []grpc.DialOption

	BatchSize       int // maximum number of updates in a write request; 0 means DefaultBatchSize
	MaxBatchBytes   int // maximum number of bytes in a write request; 0 means DefaultMaxBatchBytes
	MaxReceiveBytes int // maximum number of bytes in a message from the switch; 0 means DefaultMaxReceiveBytes
	QueueSize       int // maximum number of waiting stream messages of each kind; 0 means DefaultQueueSize

	DialTimeout    time.Duration // 0 means DefaultDialTimeout
	CallTimeout    time.Duration // 0 means DefaultCallTimeout
	PushTimeout    time.Duration // 0 means DefaultPushTimeout
	CancelGrace    time.Duration // 0 means DefaultCancelGrace
	ProbeTimeout   time.Duration // 0 means DefaultProbeTimeout
	TCPUserTimeout time.Duration // 0 means DefaultTCPUserTimeout; used only on Linux

	// Recorder records the requests and answers of sessions, but not of Readers; nil means no recording. Each switch
	// needs its own Recorder, because Replay sends a recording to a single switch.
	Recorder *Recorder
	// Logger is the logger of the session; nil means no logging.
	Logger *zap.Logger
}

// withDefaults returns the configuration with all defaults set. If a field is invalid, it returns ErrConfig, and the
// error names the field, its value and the valid values.
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

// checkElection returns ErrConfig if the election id is 0, because the caller forgot to set the id. The id 0 would
// lose to every other id.
func (c Config) checkElection() error {
	if c.ElectionID.IsZero() {
		return fmt.Errorf("%w: election id 0: must be > 0; DialReader reads without one", ErrConfig)
	}
	return nil
}
