package api

import (
	"slices"
	"testing"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestAdvice verifies that an answer about port 25 that is stopped, now or later, names the own servers and says whether the line can be exempt.
func TestAdvice(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	d, s := desk.New(desk.Options{}), desk.Source{Source: check.Source{Bundle: b}}
	ask := func(at string, from *op25bv1.CheckFrom, port uint32) *op25bv1.CheckAdvice {
		t.Helper()
		from.LocalAt = at
		r, err := AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: from, To: "203.0.113.129", Port: port})
		if err != nil {
			t.Fatal(err)
		}
		return r.Advice
	}
	home := &op25bv1.CheckFrom{Line: "adsl-home"}
	for _, at := range []string{"2006-05-20", "2006-12-01"} {
		a := ask(at, home, 25)
		if a == nil || a.Exemption != "dynamic" || len(a.OwnServers) == 0 || len(a.OwnServers[0].Prefixes) == 0 || !slices.Equal(a.OwnServers[0].Ports, []uint32{25, 465, 587}) {
			t.Errorf("%s: %v", at, a)
		}
	}
	if a := ask("2006-12-01", home, 587); a != nil {
		t.Errorf("port 587: %v", a)
	}
	if a := ask("2006-12-01", &op25bv1.CheckFrom{From: "10.9.9.9"}, 25); a == nil || a.Exemption != "" || len(a.OwnServers) == 0 {
		t.Errorf("an unnamed line: %v", a)
	}
}
