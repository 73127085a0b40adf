package p4src

import "testing"

// TestBuildIsCurrent verifies that the files in build were compiled from the present sources.
// Otherwise switches would run a program that nobody has reviewed.
func TestBuildIsCurrent(t *testing.T) {
	want, err := Digest(sources, ".")
	if err != nil {
		t.Fatal(err)
	}
	if got := BuiltFrom(); got != want {
		t.Errorf("build/ was made of sources with digest %s, the sources have %s: run go generate ./p4src (it needs p4c-bm2-ss)", got, want)
	}
}

func TestP4InfoParses(t *testing.T) {
	if n := len(P4Info().GetTables()); n == 0 {
		t.Error("the P4Info names no table")
	}
	if len(DeviceConfig()) == 0 {
		t.Error("the JSON is empty")
	}
}
