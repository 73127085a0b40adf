package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestMergeForecasts verifies that the answers of two controllers become one forecast, and that a switch
// on which no phase is in force is still listed as missing.
func TestMergeForecasts(t *testing.T) {
	r := &op25bv1.ForecastResponse{
		Phase: "closed", Controller: "noc-1", More: 1,
		Rows:    []*op25bv1.ForecastRow{{Switch: "edge-1", Group: "adsl", Affected: 2, Used: 1}},
		Lines:   []*op25bv1.ForecastLine{{Id: "a"}},
		Missing: []string{"edge-2", "edge-3", "edge-4"},
		Owners: []*op25bv1.ForecastOwner{
			{Controller: "noc-2", Switches: []string{"edge-2", "edge-3"}}, {Controller: "noc-3", Switches: []string{"edge-4"}},
		},
	}
	named := &op25bv1.ResolveLinesResponse{Lines: []*op25bv1.ResolvedLine{{Id: "a", Line: "one"}}, Record: 7}
	merge(r, named, &op25bv1.ForecastResponse{
		Controller: "noc-2", More: 2, Incomplete: true, Missing: []string{"edge-3"},
		Rows:  []*op25bv1.ForecastRow{{Switch: "edge-2", Group: "adsl", Affected: 3}},
		Lines: []*op25bv1.ForecastLine{{Id: "b"}},
	}, &op25bv1.ResolveLinesResponse{Lines: []*op25bv1.ResolvedLine{{Id: "b", Line: "two"}}, Record: 9})
	want := &op25bv1.ForecastResponse{
		Phase: "closed", Controller: "noc-1", More: 3, Incomplete: true, Missing: []string{"edge-3", "edge-4"}, Owners: r.Owners,
		Rows:  []*op25bv1.ForecastRow{{Switch: "edge-1", Group: "adsl", Affected: 2, Used: 1}, {Switch: "edge-2", Group: "adsl", Affected: 3}},
		Lines: []*op25bv1.ForecastLine{{Id: "a"}, {Id: "b"}},
	}
	if diff := cmp.Diff(want, r, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if len(named.Lines) != 2 || named.Record != 9 {
		t.Errorf("%v", named)
	}
}
