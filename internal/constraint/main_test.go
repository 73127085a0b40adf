package constraint

import (
	"strings"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}

const aclID = 1

// program has a table with a key of every match type, some of them wide, and an action.
const program = `
tables {
  preamble { id: 1 name: "acl" }
  match_fields { id: 1 name: "port" bitwidth: 9 match_type: EXACT }
  match_fields { id: 2 name: "hdr.eth.src" bitwidth: 48 match_type: TERNARY }
  match_fields { id: 3 name: "dst4" bitwidth: 32 match_type: LPM }
  match_fields { id: 4 name: "l4" bitwidth: 16 match_type: RANGE }
  match_fields { id: 5 name: "vid" bitwidth: 12 match_type: OPTIONAL }
  match_fields { id: 6 name: "src6" bitwidth: 128 match_type: TERNARY }
  match_fields { id: 7 name: "dst6" bitwidth: 128 match_type: LPM }
  match_fields { id: 8 name: "type" bitwidth: 16 match_type: TERNARY }
  match_fields { id: 9 name: "huge" bitwidth: 129 match_type: OPTIONAL }
  match_fields { id: 10 name: "text" other_match_type: "regex" }
  match_fields { id: 11 name: "type2" bitwidth: 16 match_type: TERNARY }
  match_fields { id: 12 name: "tagged" bitwidth: 1 match_type: EXACT }
}
tables { preamble { id: 5 name: "free" } match_fields { id: 1 name: "port" bitwidth: 9 match_type: EXACT } }
actions {
  preamble { id: 2 name: "forward" }
  params { id: 1 name: "port" bitwidth: 9 }
  params { id: 2 name: "mac" bitwidth: 48 }
  params { id: 3 name: "label" bitwidth: 9 }
}
actions { preamble { id: 3 name: "shared" } params { id: 1 name: "group" bitwidth: 16 } }
actions { preamble { id: 4 name: "other" } }
`

func parseText[M interface {
	*configv1.P4Info | *p4v1.TableEntry | *p4v1.Action
	proto.Message
}](t testing.TB, m M, text string) M {
	t.Helper()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// annotate writes a restriction as p4c prints it, with its line ends unchanged.
func annotate(name, text string) string {
	return "@" + name + `("` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `")`
}

// programWith returns program with a restriction on acl and a restriction on forward. An empty
// string means no restriction.
func programWith(t testing.TB, acl, forward string) *configv1.P4Info {
	t.Helper()
	info := parseText(t, &configv1.P4Info{}, program)
	if acl != "" {
		info.Tables[0].Preamble.Annotations = []string{annotate("entry_restriction", acl)}
	}
	if forward != "" {
		info.Actions[0].Preamble.Annotations = []string{annotate("action_restriction", forward)}
	}
	return info
}

func mustLoad(t testing.TB, info *configv1.P4Info) *Set {
	t.Helper()
	s, err := Load(info)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
