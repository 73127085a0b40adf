package view

import op25bv1 "op25b/proto/op25b/v1"

// The answers about leases that the tests show.
var (
	lineLease = &op25bv1.LineLease{
		Line: "adsl-home", Switch: "edge-1", Lease: "pop-before-smtp", Granted: at("2006-06-01T00:00:00Z"), End: at("2006-06-01T00:10:00Z"),
	}
	leases = &op25bv1.ListLeasesResponse{
		Leases: []*op25bv1.LineLease{lineLease, {Line: "adsl-office\x1b[31m", Switch: "edge-2", Lease: "imap", Granted: at("2006-06-01T00:01:00Z"), End: at("2006-06-01T00:31:00Z")}},
		Total:  2, Controller: "noc-1", Time: at("2006-06-01T00:02:00Z"), UtcOffset: "+09:00",
	}
	ofAddress  = &op25bv1.LineLease{Lease: "pop-before-smtp", Granted: at("2006-06-01T00:00:00Z"), End: at("2006-06-01T00:10:00Z")}
	someLeases = &op25bv1.ListLeasesResponse{Leases: leases.Leases[:1], Total: 12345, Controller: "noc-1", Time: leases.Time, UtcOffset: "+09:00"}
	noLeases   = &op25bv1.ListLeasesResponse{Controller: "noc-1", Time: leases.Time}
	addresses  = &op25bv1.ListLeasesResponse{Leases: []*op25bv1.LineLease{lineLease, ofAddress}, Total: 2, Controller: "noc-1", Time: leases.Time, UtcOffset: "+09:00"}
	granted    = &op25bv1.GrantLeaseResponse{Lease: lineLease, Outcome: op25bv1.LeaseOutcome_LEASE_OUTCOME_GRANTED}
	renewed    = &op25bv1.GrantLeaseResponse{Lease: lineLease, Outcome: op25bv1.LeaseOutcome_LEASE_OUTCOME_RENEWED}
	keptLease  = &op25bv1.GrantLeaseResponse{Lease: lineLease, Outcome: op25bv1.LeaseOutcome_LEASE_OUTCOME_UNCHANGED}
	revoked    = &op25bv1.RevokeLeaseResponse{Revoked: true, Lease: lineLease}
	toAddress  = &op25bv1.GrantLeaseResponse{Lease: ofAddress, Outcome: op25bv1.LeaseOutcome_LEASE_OUTCOME_RENEWED}
	ofRevoked  = &op25bv1.RevokeLeaseResponse{Revoked: true, Lease: ofAddress}
	notRevoked = &op25bv1.RevokeLeaseResponse{}
)
