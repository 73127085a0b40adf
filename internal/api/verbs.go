package api

import (
	"time"

	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"op25b/internal/auth"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A Verb is what there is to know of a call before it is made.
type Verb struct {
	// Name is the verb in audit records, and empty for what changes nothing.
	Name string
	// Least is the role that may, at least; auth.None is anybody, known or not.
	Least auth.Role
	// Private calls are about somebody's connections or mailbox: not even their errors are logged.
	Private bool
	// Within is how long the call may take; 0 is as long as its caller wants.
	Within time.Duration
}

// How long calls may take.
const (
	// readWithin is for what the store alone answers: it gives up after 5 s itself, and some calls ask it a few times.
	readWithin = 30 * time.Second
	// fleetWithin is for what reads switches: 1,000 of them, a tenth of which do not answer, are half a minute.
	fleetWithin = 5 * time.Minute
	// backupWithin is for 2 GiB over a slow line. etcd drops the past after 10 to 20 minutes, and a backup of it then ends by itself.
	backupWithin = 30 * time.Minute
)

const (
	reflectV1      = "/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo"
	reflectV1Alpha = "/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo"
	healthCheck    = "/" + grpchealth.HealthV1ServiceName + "/Check"
)

// verbs are all calls. What is not in it is refused.
var verbs = map[string]Verb{
	op25bv1connect.IntentServicePlanProcedure:    {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.IntentServiceApplyProcedure:   {Least: auth.Operator, Name: "apply"},
	op25bv1connect.IntentServiceCurrentProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceHistoryProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceShowProcedure:    {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceDiffProcedure:    {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceRestoreProcedure: {Least: auth.Operator, Name: "restore"}, // an older revision than the one before: see mayRestore
	op25bv1connect.IntentServiceOutcomeProcedure: {Least: auth.Operator, Within: readWithin},

	op25bv1connect.FleetServiceListSwitchesProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceWatchSwitchesProcedure: {Least: auth.Viewer},
	op25bv1connect.FleetServiceListClocksProcedure:    {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceConfirmClockProcedure:  {Least: auth.Operator, Name: "confirm clock", Within: readWithin},
	op25bv1connect.FleetServiceDriftProcedure:         {Least: auth.Viewer, Within: fleetWithin},

	op25bv1connect.PhaseServiceListPhasesProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.PhaseServiceShowPhaseProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.PhaseServicePreviewProcedure:    {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.PhaseServiceActivateProcedure:   {Least: auth.Operator, Name: "activate"},
	op25bv1connect.PhaseServiceRollbackProcedure:   {Least: auth.Operator, Name: "rollback"},

	op25bv1connect.CheckServiceCheckProcedure:     {Least: auth.Viewer, Private: true, Within: readWithin},
	op25bv1connect.CheckServiceCheckMailProcedure: {Least: auth.Viewer, Private: true, Within: readWithin},

	op25bv1connect.AuditServiceListRecordsProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.AuditServiceVerifyProcedure:      {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.AuditServicePruneProcedure:       {Least: auth.Admin, Name: "archive", Within: fleetWithin},

	op25bv1connect.StoreServiceBackupProcedure: {Least: auth.Admin, Name: "backup", Within: backupWithin},

	reflectV1:      {Least: auth.Viewer, Within: readWithin},
	reflectV1Alpha: {Least: auth.Viewer, Within: readWithin},
	healthCheck:    {Least: auth.None, Within: readWithin}, // as /healthz and /readyz: who probes has no credentials
}
