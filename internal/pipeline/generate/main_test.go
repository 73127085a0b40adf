package main

import (
	"os"
	"testing"
)

// A schema that is older than the P4Info would have the controller write entries of a program that is not there.
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
