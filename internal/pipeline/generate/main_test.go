package main

import (
	"os"
	"testing"
)

// TestSchemaIsCurrent verifies that schema_gen.go matches the P4Info. With an outdated schema, the controller
// would write entries for another program.
func TestSchemaIsCurrent(t *testing.T) {
	want, err := schema("../../../p4src/build/op25b.p4info.txtpb")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../schema_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("schema_gen.go is not what the P4Info says: run go generate ./internal/pipeline")
	}
}
