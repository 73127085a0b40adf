package plan

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

func TestSave(t *testing.T) {
	p := &op25bv1.Plan{Base: 12, Policy: "p", Totals: &op25bv1.Totals{Stops: 1}}
	files := []*op25bv1.File{{Name: "policy.yaml", Data: []byte("kind: Policy\n")}}
	var saved bytes.Buffer
	if err := Save(&saved, p, files); err != nil {
		t.Fatal(err)
	}
	if len(p.Files) != 0 {
		t.Error("saving a plan changed it")
	}
	got, err := Load(bytes.NewReader(saved.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	p.Files = files
	if !proto.Equal(got, p) {
		t.Errorf("loaded %v, want %v", got, p)
	}

	p.Files = nil
	if err := Save(&saved, p, nil); !errors.Is(err, ErrSaved) || err.Error() != "not a saved plan: there are no files to save with it" {
		t.Errorf("without files: %v", err)
	}
	bare, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "not a saved plan: it does not begin with \"op25b plan 1\"; `op25b plan --out FILE` writes one"},
		{"YAML", "kind: Policy\n", "it does not begin with"},
		{"damaged", magic + "\xff\xff", "not a saved plan: it is damaged: "},
		{"no files", magic + string(bare), "not a saved plan: it has no files"},
	} {
		if _, err := Load(strings.NewReader(c.content)); !errors.Is(err, ErrSaved) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
