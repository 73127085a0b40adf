package api

import (
	"time"

	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"op25b/internal/auth"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A Verb describes the requirements and the audit record of a call.
type Verb struct {
	// Name is the verb in audit records. It is empty for calls that change nothing.
	Name string
	// Least is the lowest role that may make the call; auth.None admits unauthenticated callers, auth.Portal also admits the
	// viewer, and auth.Reporter and auth.Lease also admit the operator.
	Least auth.Role
	// Private is set for calls about a subscriber's connections or mailbox. The errors of such calls are not logged.
	Private bool
	// Within is the limit on the duration of the call; 0 means no limit.
	Within time.Duration
}

// Limits on the duration of calls.
const (
	// readWithin is the limit on calls that only read the store. A store request fails after 5 s, and some calls make several requests.
	readWithin = 30 * time.Second
	// askWithin is the limit on questions of the portal, whose visitors wait for the answer.
	askWithin = 10 * time.Second
	// fleetWithin is the limit on calls that read switches. Reading 1,000 switches takes half a minute if a tenth of them do not answer.
	fleetWithin = 5 * time.Minute
	// backupWithin is the limit on a backup. It allows 2 GiB over a slow line. A backup that takes longer than 10 to 20 minutes may fail,
	// because etcd then compacts its history.
	backupWithin = 30 * time.Minute
)

const (
	reflectV1      = "/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo"
	reflectV1Alpha = "/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo"
	healthCheck    = "/" + grpchealth.HealthV1ServiceName + "/Check"
)

// verbs maps each procedure to its Verb. Procedures that are not in the map are refused.
var verbs = map[string]Verb{
	op25bv1connect.IntentServicePlanProcedure:    {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.IntentServiceApplyProcedure:   {Least: auth.Operator, Name: "apply"},
	op25bv1connect.IntentServiceApproveProcedure: {Least: auth.Operator, Name: "approve", Within: readWithin},
	op25bv1connect.IntentServiceCurrentProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceHistoryProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceShowProcedure:    {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceDiffProcedure:    {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.IntentServiceRestoreProcedure: {Least: auth.Operator, Name: "restore"}, // older revisions require admin; see mayRestore
	op25bv1connect.IntentServiceOutcomeProcedure: {Least: auth.Operator, Within: readWithin},

	op25bv1connect.FleetServiceListSwitchesProcedure:     {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceWatchSwitchesProcedure:    {Least: auth.Viewer},
	op25bv1connect.FleetServiceListCertificatesProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceListStateChangesProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceListClocksProcedure:       {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceConfirmClockProcedure:     {Least: auth.Operator, Name: "confirm clock", Within: readWithin},
	op25bv1connect.FleetServiceDriftProcedure:            {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.FleetServiceProveProcedure:            {Least: auth.Operator, Within: fleetWithin},
	op25bv1connect.FleetServiceListLinesProcedure:        {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.FleetServiceHoldSwitchProcedure:       {Least: auth.Operator, Name: "hold", Within: readWithin},
	op25bv1connect.FleetServiceReleaseSwitchProcedure:    {Least: auth.Operator, Name: "release", Within: readWithin},

	op25bv1connect.PhaseServiceListPhasesProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.PhaseServiceShowPhaseProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.PhaseServiceListDatesProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.PhaseServicePreviewProcedure:    {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.PhaseServiceActivateProcedure:   {Least: auth.Operator, Name: "activate"},
	op25bv1connect.PhaseServiceRollbackProcedure:   {Least: auth.Operator, Name: "rollback"},

	op25bv1connect.PhaseServiceScheduleProcedure:        {Least: auth.Operator, Name: "schedule", Within: readWithin},
	op25bv1connect.PhaseServiceCancelScheduledProcedure: {Least: auth.Operator, Name: "cancel", Within: readWithin},

	op25bv1connect.CheckServiceCheckProcedure:     {Least: auth.Viewer, Private: true, Within: readWithin},
	op25bv1connect.CheckServiceCheckMailProcedure: {Least: auth.Viewer, Private: true, Within: readWithin},

	op25bv1connect.AuditServiceListRecordsProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.AuditServiceVerifyProcedure:      {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.AuditServicePruneProcedure:       {Least: auth.Admin, Name: "archive", Within: fleetWithin},

	op25bv1connect.TelemetryServiceListCountersProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.TelemetryServiceWatchCountersProcedure: {Least: auth.Viewer},
	op25bv1connect.TelemetryServiceListSeriesProcedure:    {Least: auth.Viewer, Within: readWithin},

	op25bv1connect.SubscriberServiceListSessionsProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.SubscriberServiceFindAddressProcedure:  {Least: auth.Operator, Name: "find", Private: true, Within: readWithin},
	op25bv1connect.SubscriberServiceReportProcedure:       {Least: auth.Reporter, Name: "report", Private: true},
	op25bv1connect.SubscriberServiceReportBatchProcedure:  {Least: auth.Reporter, Name: "report", Private: true, Within: readWithin},

	op25bv1connect.LeaseServiceGrantProcedure:  {Least: auth.Lease, Name: "grant lease", Within: readWithin},
	op25bv1connect.LeaseServiceRevokeProcedure: {Least: auth.Lease, Name: "revoke lease", Within: readWithin},
	op25bv1connect.LeaseServiceListProcedure:   {Least: auth.Operator, Within: readWithin},

	op25bv1connect.ExemptionServiceAddProcedure:   {Least: auth.Operator, Name: "exempt add"},
	op25bv1connect.ExemptionServiceRenewProcedure: {Least: auth.Operator, Name: "exempt renew"},
	op25bv1connect.ExemptionServiceEndProcedure:   {Least: auth.Operator, Name: "exempt end"},
	op25bv1connect.ExemptionServiceListProcedure:  {Least: auth.Viewer, Within: readWithin},

	op25bv1connect.RolloutServiceStartProcedure: {Least: auth.Operator, Name: "rollout", Within: fleetWithin},
	op25bv1connect.RolloutServiceShowProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.RolloutServiceWatchProcedure: {Least: auth.Viewer},
	op25bv1connect.RolloutServiceListProcedure:  {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.RolloutServiceSteerProcedure: {Least: auth.Operator, Name: "rollout", Within: readWithin},

	op25bv1connect.AbuseServiceForecastProcedure:      {Least: auth.Viewer, Within: fleetWithin},
	op25bv1connect.AbuseServiceListOffendersProcedure: {Least: auth.Viewer, Within: readWithin},
	op25bv1connect.AbuseServiceResolveLinesProcedure:  {Least: auth.Operator, Name: "resolve", Private: true, Within: readWithin},
	op25bv1connect.AbuseServiceForgetLinesProcedure:   {Least: auth.Admin, Name: "forget", Within: readWithin},

	op25bv1connect.PortalServiceWatchPublicationProcedure: {Least: auth.Portal},
	op25bv1connect.PortalServiceAskOwnLineProcedure:       {Least: auth.Portal, Private: true, Within: askWithin},

	op25bv1connect.StoreServiceBackupProcedure: {Least: auth.Admin, Name: "backup", Within: backupWithin},

	reflectV1:      {Least: auth.Viewer, Within: readWithin},
	reflectV1Alpha: {Least: auth.Viewer, Within: readWithin},
	healthCheck:    {Least: auth.None, Within: readWithin}, // probes have no credentials
}

// gnmiVerbs maps each procedure of the northbound gNMI to its Verb. Set changes nothing, but a caller that tries it without being admitted is
// recorded as for other changes.
var gnmiVerbs = map[string]Verb{
	gnmiService + "Capabilities": {Least: auth.Viewer, Within: readWithin},
	gnmiService + "Get":          {Least: auth.Viewer, Within: fleetWithin},
	gnmiService + "Subscribe":    {Least: auth.Viewer},
	gnmiService + "Set":          {Least: auth.Viewer, Name: "gnmi set", Within: readWithin},
}

// gnmiService is the path of the service gNMI, which comes before the names of its calls.
const gnmiService = "/gnmi.gNMI/"

// verbOf returns the Verb of a procedure of the API or of the northbound gNMI.
func verbOf(procedure string) (Verb, bool) {
	v, known := verbs[procedure]
	if !known {
		v, known = gnmiVerbs[procedure]
	}
	return v, known
}
