package p4src

import "testing"

// A build that is older than the sources would put a program in the switches that nobody has read.
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
