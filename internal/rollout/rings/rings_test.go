package rings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/strict"
)

// fleet returns an inventory of six switches. Switch s6 alone has lines in PPPoE.
func fleet() *policy.Bundle {
	var switches []policy.Switch
	for i := 1; i <= 6; i++ {
		sw := policy.Switch{Name: fmt.Sprint("s", i), Site: "tokyo", Model: "soft", Lines: []policy.Line{{Group: "adsl", VLAN: 5}}}
		if i > 3 {
			sw.Site = "osaka"
		}
		if i == 2 {
			sw.Labels = []string{"pilot"}
		}
		if i == 6 {
			sw.Lines = append(sw.Lines, policy.Line{Group: "adsl", VLAN: 5, InnerVLAN: 6, PPPoE: 7})
		}
		switches = append(switches, sw)
	}
	return &policy.Bundle{Inventory: &policy.Inventory{Switches: switches}}
}

func read(rings string) ([]rollout.Stage, error) {
	return Read(strict.File{Name: "rings.yaml", Data: []byte("apiVersion: op25b/v1\nkind: Rings\nrings:\n" + rings)}, fleet())
}

// TestRead verifies that rings select switches by name, site, model, label and as the rest.
func TestRead(t *testing.T) {
	got, err := read(`
  - {name: first, switches: [s1], soak: 30m, gates: {affected: 150}}
  - {name: pilots, labels: [pilot], switches: [s6, s2], soak: 2h, gates: {tickets: 3}}
  - {name: tokyo, switches: [s3], soak: 1m}
  - {name: others, rest: true, soak: 12h}
`)
	if err != nil {
		t.Fatal(err)
	}
	bounds := rollout.DefaultGates()
	first := bounds
	first.Affected = 1.5
	pilots := bounds
	pilots.Tickets = rollout.TicketBound{Lines: 3, Within: 5 * time.Minute}
	want := []rollout.Stage{
		{Name: "first", Switches: []string{"s1"}, Soak: 30 * time.Minute, Gates: first},
		{Name: "pilots", Switches: []string{"s2", "s6"}, Soak: 2 * time.Hour, Gates: pilots},
		{Name: "tokyo", Switches: []string{"s3"}, Soak: time.Minute, Gates: bounds},
		{Name: "others", Switches: []string{"s4", "s5"}, Soak: 12 * time.Hour, Gates: bounds},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := read("  - {name: a, sites: [osaka], soak: 1m}\n  - {name: b, models: [soft], soak: 1m}\n"); err == nil || !strings.Contains(err.Error(), `switch "s4" is in ring rings[0] too`) {
		t.Errorf("a switch in two rings: %v", err)
	}
}

// TestFaults verifies the message of every fault of a document.
func TestFaults(t *testing.T) {
	many := ""
	for i := range MaxRings + 1 {
		many += fmt.Sprintf("  - {name: r%d, switches: [s1], soak: 1m}\n", i)
	}
	const first, rest = "  - {name: a, switches: [s6], soak: 1m}\n", "  - {name: z, rest: true, soak: 1m}\n"
	for _, tc := range []struct{ rings, want string }{
		{first, `rings.yaml:4:3: there are 1 rings; give 2 to 20; to change all switches at once, use apply or phase activate`},
		{many, `there are 21 rings; give 2 to 20`},
		{"  - {name: \"a b\", switches: [s6], soak: 1m}\n" + rest, `rings.yaml:4:12: ring name "a b" cannot be used; a name is 1 to 64 printable ASCII characters without spaces`},
		{first + strings.Replace(rest, "z", "a", 1), `rings.yaml:5:12: ring "a" is listed twice; give each ring its own name`},
		{"  - {name: a, switches: [s6], soak: 59s}\n" + rest, `ring "a" soaks for 59s; give 1m to 720h`},
		{"  - {name: a, rest: true, soak: 1m}\n" + rest, `ring "a" has the rest of the switches, and is not the last ring; move it to the end`},
		{first + "  - {name: b, switches: [s1], soak: 1m}\n", `rings.yaml:4:3: switch "s2" is in no ring; add it to a ring, or give the last ring rest: true`},
		{first + "  - {name: b, switches: [s6, s1], soak: 1m}\n" + rest, `switch "s6" is in ring rings[0] too; a switch belongs to one ring`},
		{first + "  - {name: b, switches: [s77], soak: 1m}\n" + rest, `no switch has the name "s77"`},
		{first + "  - {name: b, sites: [kyoto], soak: 1m}\n" + rest, `no switch has the site "kyoto"`},
		{first + "  - {name: b, models: [hard], soak: 1m}\n" + rest, `no switch has the model "hard"`},
		{first + "  - {name: b, labels: [pilots], soak: 1m}\n" + rest, `no switch has the label "pilots"; did you mean "pilot"?`},
		{first + "  - {name: b, soak: 1m}\n" + rest, `ring "b" has no switch; give switches, sites, models or labels, or rest: true in the last ring`},
		{first + "  - {name: b, switches: [s1], soak: 1m, gates: {affected: 99}}\n" + rest, `rings[1].gates.affected is 99; it must be a whole number from 100 to 10000`},
		{first + "  - {name: b, switches: [s1], soak: 1m, gates: {tickets: 0}}\n" + rest, `rings[1].gates.tickets is 0; it must be a whole number from 1 to 1000`},
		{
			"  - {name: a, switches: [s1], soak: 1m}\n  - {name: b, switches: [s2], soak: 1m}\n" + rest,
			`rings.yaml:5:5: ring "b" has no lines of group adsl on model soft with two tags, PPPoE, and a later ring has; move a switch with such lines to this ring: a fault of the change could show there only, and first on many switches`,
		},
	} {
		_, err := read(tc.rings)
		var faults strict.Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s\n got %v\nwant %s", tc.rings, err, tc.want)
		}
	}
}

// TestStrata verifies the strata of a switch.
func TestStrata(t *testing.T) {
	sw := policy.Switch{Lines: []policy.Line{{}, {Group: "adsl", VLAN: 5}, {Group: "adsl", VLAN: 6}, {Group: "adsl", VLAN: 6, Addressing: policy.Dynamic}}}
	got := Strata(sw)
	want := []Stratum{{"", "", "no tag"}, {"", "adsl", "one tag"}, {"", "adsl", "one tag, sessions"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
