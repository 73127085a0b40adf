package p4fuzz

import "google.golang.org/grpc/codes"

// A Mutation is a named irregularity of a write. Not every irregularity is a fault, because a switch must accept some unusual forms.
type Mutation string

// A Rule states what the specification requires for a mutation. Allowed has several codes if the specification leaves a choice or
// contradicts itself. It contains codes.OK if the switch may or must accept the mutation.
type Rule struct {
	Mutation Mutation
	Section  string
	Allowed  []codes.Code
}

// The mutations of single updates and of whole requests.
const (
	NoUpdateType      Mutation = "update type not set"
	UnknownUpdateType Mutation = "unknown update type"
	NoEntity          Mutation = "no entity"
	UnknownTable      Mutation = "unknown table"
	IsConst           Mutation = "is_const set"

	UnknownField     Mutation = "unknown match field"
	MissingField     Mutation = "exact match field missing"
	DuplicateField   Mutation = "match field given twice"
	WrongKind        Mutation = "match of another kind"
	NoKind           Mutation = "match kind not set"
	WideField        Mutation = "match value wider than its field"
	EmptyField       Mutation = "empty match value"
	PaddedField      Mutation = "match value with leading zeros"
	ShuffledFields   Mutation = "match fields in another order"
	ZeroPrefix       Mutation = "prefix of length 0"
	PrefixRange      Mutation = "prefix length out of range"
	BeyondPrefix     Mutation = "bits beyond the prefix"
	ZeroMask         Mutation = "mask of zeros"
	OutsideMask      Mutation = "bits outside the mask"
	ReversedRange    Mutation = "range from high to low"
	WholeRange       Mutation = "range of all values"
	NoPriority       Mutation = "priority missing"
	NegativePriority Mutation = "negative priority"
	Priority         Mutation = "priority where none belongs"
	BelowPriority    Mutation = "negative priority where none belongs"

	NoAction          Mutation = "INSERT without action"
	KeepAction        Mutation = "MODIFY without action"
	EmptyAction       Mutation = "empty action"
	UnknownAction     Mutation = "unknown action"
	ForeignAction     Mutation = "action of another table"
	DefaultOnlyAction Mutation = "default-only action in an entry"
	TableOnlyAction   Mutation = "table-only action as default"
	MemberAction      Mutation = "member of an action profile where an action belongs"
	MissingParam      Mutation = "parameter missing"
	UnknownParam      Mutation = "unknown parameter"
	DuplicateParam    Mutation = "parameter given twice"
	WideParam         Mutation = "parameter wider than its type"
	EmptyParam        Mutation = "empty parameter"
	PaddedParam       Mutation = "parameter with leading zeros"
	ShuffledParams    Mutation = "parameters in another order"
	Restricted        Mutation = "restriction of the program broken"

	Duplicate     Mutation = "INSERT of what is there"
	MissingModify Mutation = "MODIFY of what is not there"
	MissingDelete Mutation = "DELETE of what is not there"
	FullTable     Mutation = "INSERT into a full table"
	JunkInDelete  Mutation = "nonsense beside the key of a DELETE"
	KeylessInsert Mutation = "INSERT into a table without key"
	KeylessOther  Mutation = "MODIFY or DELETE in a table without key"
	ConstInsert   Mutation = "INSERT into a const table"
	ConstEntry    Mutation = "MODIFY or DELETE of a const entry"

	DefaultInsert   Mutation = "INSERT of a default entry"
	DefaultDelete   Mutation = "DELETE of a default entry"
	DefaultMatch    Mutation = "default entry with match"
	DefaultPriority Mutation = "default entry with priority"
	DefaultIdle     Mutation = "default entry with idle timeout"
	ConstDefault    Mutation = "MODIFY of a const default entry"
	ResetDefault    Mutation = "MODIFY of a default entry without action"

	IdleUnsupported  Mutation = "idle timeout where none is supported"
	SinceLastHit     Mutation = "time since last hit given"
	MeterUnsupported Mutation = "meter config where there is no meter"
	NegativeMeter    Mutation = "negative meter config"
	MinusOneBurst    Mutation = "meter burst of -1"
	HugeBurst        Mutation = "meter burst past 32 bits"
	BareMeter        Mutation = "INSERT without meter config"
	PeakBelow        Mutation = "peak rate below the committed one"
	ExcessBurst      Mutation = "excess burst for a two-rate meter"
	KeepMeter        Mutation = "MODIFY without meter config"
	CountUnsupported Mutation = "counter data where there is no counter"
	NegativeCount    Mutation = "negative counter data"
	DirectInsert     Mutation = "INSERT of a direct resource"
	MeterDelete      Mutation = "DELETE of a direct meter"
	CounterDelete    Mutation = "DELETE of a direct counter"
	DirectMissing    Mutation = "direct resource of what is not there"
	DirectNoEntry    Mutation = "direct resource without table entry"

	GroupZero       Mutation = "multicast group 0"
	GroupDuplicate  Mutation = "replica given twice"
	GroupInstance   Mutation = "replica instance past 16 bits"
	GroupPort       Mutation = "replica port that no frame can leave by"
	GroupPortNought Mutation = "replica port 0"
	GroupNoPort     Mutation = "replica without port"
	GroupEmptyPort  Mutation = "replica with empty port"
	GroupPadded     Mutation = "replica port with leading zeros"
	GroupBackup     Mutation = "backup replica"

	ForeignDevice   Mutation = "foreign device"
	UnknownRole     Mutation = "unknown role"
	OldElection     Mutation = "lower election id"
	NewElection     Mutation = "higher election id"
	NoElection      Mutation = "no election id"
	Rollback        Mutation = "ROLLBACK_ON_ERROR"
	DataplaneAtomic Mutation = "DATAPLANE_ATOMIC"
	UnknownAtomic   Mutation = "unknown atomicity"
	EmptyBatch      Mutation = "batch without updates"
	BeforePush      Mutation = "write before the first program"
	Unarbitrated    Mutation = "write before arbitration"
	Anonymous       Mutation = "write before arbitration, without election id"
)

func allow(c ...codes.Code) []codes.Code { return c }

// Rules lists the rule of every mutation, in the order of docs/targets.md.
//
// For an invalid byte string, sections 9.1.1 and 9.1.2 require INVALID_ARGUMENT, but section 8.4 requires OUT_OF_RANGE, so both codes are
// allowed. If the specification calls a write malformed without naming a code, section 12 requires INVALID_ARGUMENT "unless a more specific
// error code applies".
var Rules = []Rule{
	{NoUpdateType, "12", allow(codes.InvalidArgument)},
	{UnknownUpdateType, "12", allow(codes.InvalidArgument)},
	{NoEntity, "12", allow(codes.InvalidArgument)},
	{UnknownTable, "12", allow(codes.InvalidArgument, codes.NotFound)},
	{IsConst, "9.1", allow(codes.InvalidArgument)},

	{UnknownField, "9.1.1", allow(codes.InvalidArgument)},
	{MissingField, "9.1.1", allow(codes.InvalidArgument)},
	{DuplicateField, "9.1.1", allow(codes.InvalidArgument)},
	{WrongKind, "9.1.1", allow(codes.InvalidArgument)},
	{NoKind, "9.1.1", allow(codes.InvalidArgument)},
	{WideField, "8.4, 9.1.1", allow(codes.InvalidArgument, codes.OutOfRange)},
	{EmptyField, "8.4, 9.1.1", allow(codes.InvalidArgument, codes.OutOfRange)},
	{PaddedField, "8.4", allow(codes.OK)},
	{ShuffledFields, "8.2", allow(codes.OK)},
	{ZeroPrefix, "9.1.1", allow(codes.InvalidArgument)},
	{PrefixRange, "9.1.1", allow(codes.InvalidArgument)},
	{BeyondPrefix, "9.1.1", allow(codes.InvalidArgument)},
	{ZeroMask, "9.1.1", allow(codes.InvalidArgument)},
	{OutsideMask, "9.1.1", allow(codes.InvalidArgument)},
	{ReversedRange, "9.1.1", allow(codes.InvalidArgument)},
	{WholeRange, "9.1.1", allow(codes.InvalidArgument)},
	{NoPriority, "9.1", allow(codes.InvalidArgument)},
	{NegativePriority, "9.1", allow(codes.OK, codes.InvalidArgument)}, // the specification requires only "a non-zero value"
	{Priority, "9.1", allow(codes.InvalidArgument)},
	{BelowPriority, "9.1", allow(codes.InvalidArgument)},

	{NoAction, "9.1.2", allow(codes.InvalidArgument)},
	{KeepAction, "9.1.2", allow(codes.OK)},
	{EmptyAction, "9.1.2", allow(codes.InvalidArgument)},
	{UnknownAction, "9.1.2", allow(codes.InvalidArgument)},
	{ForeignAction, "9.1.2", allow(codes.InvalidArgument)},
	{DefaultOnlyAction, "9.1.2", allow(codes.PermissionDenied)},
	{TableOnlyAction, "9.1.2", allow(codes.PermissionDenied)},
	{MemberAction, "9.1.2", allow(codes.InvalidArgument)},
	{MissingParam, "9.1.2", allow(codes.InvalidArgument)},
	{UnknownParam, "9.1.2", allow(codes.InvalidArgument)},
	{DuplicateParam, "9.1.2", allow(codes.InvalidArgument)},
	{WideParam, "8.4, 9.1.2", allow(codes.InvalidArgument, codes.OutOfRange)},
	{EmptyParam, "8.4, 9.1.2", allow(codes.InvalidArgument, codes.OutOfRange)},
	{PaddedParam, "8.4", allow(codes.OK)},
	{ShuffledParams, "8.2", allow(codes.OK)},
	{Restricted, "none", allow(codes.OK, codes.InvalidArgument)}, // restrictions are defined by p4-constraints, not by the specification

	{Duplicate, "12", allow(codes.AlreadyExists)},
	{MissingModify, "12", allow(codes.NotFound)},
	{MissingDelete, "12", allow(codes.NotFound)},
	{FullTable, "9.1", allow(codes.OK, codes.ResourceExhausted)}, // a table may be able to hold more entries than its size
	{JunkInDelete, "9.1, 12", allow(codes.OK)},
	{KeylessInsert, "9.1", allow(codes.InvalidArgument)},
	{KeylessOther, "9.1, 12", allow(codes.InvalidArgument, codes.NotFound)},
	{ConstInsert, "9.1.4", allow(codes.PermissionDenied)},
	{ConstEntry, "9.1.4", allow(codes.PermissionDenied)},

	{DefaultInsert, "9.1.3", allow(codes.InvalidArgument)},
	{DefaultDelete, "9.1.3", allow(codes.InvalidArgument)},
	{DefaultMatch, "9.1.3", allow(codes.InvalidArgument)},
	{DefaultPriority, "9.1.3", allow(codes.InvalidArgument)},
	{DefaultIdle, "9.1.8", allow(codes.InvalidArgument)},
	{ConstDefault, "9.1.3", allow(codes.PermissionDenied)},
	{ResetDefault, "9.1.3", allow(codes.OK)},

	{IdleUnsupported, "9.1.8", allow(codes.InvalidArgument)},
	{SinceLastHit, "9.1.8", allow(codes.InvalidArgument)},
	{MeterUnsupported, "9.1.7", allow(codes.InvalidArgument)},
	{NegativeMeter, "9.4, 12", allow(codes.InvalidArgument)},
	{MinusOneBurst, "9.4, 12", allow(codes.InvalidArgument)},
	{HugeBurst, "9.4", allow(codes.OK)},
	{PeakBelow, "9.4, 12", allow(codes.OK, codes.InvalidArgument)}, // RFC 2698 forbids this, but the specification does not mention it
	{ExcessBurst, "9.4", allow(codes.InvalidArgument)},
	{BareMeter, "9.1.7", allow(codes.OK)},
	{KeepMeter, "9.1.7", allow(codes.OK)},
	{CountUnsupported, "9.1.7", allow(codes.InvalidArgument)},
	{NegativeCount, "12", allow(codes.OK, codes.InvalidArgument)},
	{DirectInsert, "9.3.1, 9.4.1", allow(codes.InvalidArgument)},
	{MeterDelete, "9.4.1", allow(codes.InvalidArgument)},
	{CounterDelete, "9.3.1", allow(codes.InvalidArgument)},
	{DirectMissing, "9.3.1, 9.4.1", allow(codes.NotFound)},
	{DirectNoEntry, "12", allow(codes.InvalidArgument)},

	{GroupZero, "9.5.1", allow(codes.InvalidArgument)},
	{GroupDuplicate, "9.5.1", allow(codes.InvalidArgument)},
	{GroupInstance, "9.5.1", allow(codes.InvalidArgument)},
	{GroupPort, "9.5.1, 12", allow(codes.InvalidArgument)},
	{GroupPortNought, "9.5.1", allow(codes.OK)},
	{GroupNoPort, "9.5.1, 12", allow(codes.InvalidArgument)},
	{GroupEmptyPort, "8.4, 12", allow(codes.InvalidArgument, codes.OutOfRange)},
	{GroupPadded, "8.4", allow(codes.OK)},
	{GroupBackup, "9.5.1", allow(codes.OK, codes.Unimplemented)},

	{ForeignDevice, "12", allow(codes.NotFound)},
	{UnknownRole, "12", allow(codes.NotFound)},
	{OldElection, "12", allow(codes.PermissionDenied)},
	{NewElection, "12", allow(codes.PermissionDenied)},
	{NoElection, "12", allow(codes.PermissionDenied)},
	{Rollback, "12.2", allow(codes.OK, codes.Unimplemented)},
	{DataplaneAtomic, "12.2", allow(codes.OK, codes.Unimplemented)},
	{UnknownAtomic, "12.2", allow(codes.InvalidArgument, codes.Unimplemented)},
	{EmptyBatch, "12.3", allow(codes.OK)},
	{BeforePush, "12", allow(codes.FailedPrecondition)},
	{Unarbitrated, "12", allow(codes.PermissionDenied)},
	{Anonymous, "12", allow(codes.PermissionDenied)},
}

// RuleOf returns the rule for a mutation. ok is false if there is none.
func RuleOf(m Mutation) (r Rule, ok bool) {
	for _, r := range Rules {
		if r.Mutation == m {
			return r, true
		}
	}
	return Rule{}, false
}
