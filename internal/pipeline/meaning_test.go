package pipeline

import (
	"testing"

	"op25b/p4src"
)

// TestEveryTableHasAMeaning verifies that meanings lists every table. A missing table would never be written
// or counted.
func TestEveryTableHasAMeaning(t *testing.T) {
	seen := map[Table]int{}
	for i, m := range meanings {
		seen[m.table]++
		if m.use == 0 {
			t.Errorf("%v has no use", m.table)
		}
		if i == len(meanings)-1 != (m.table == multicastGroups) {
			t.Errorf("%v is at place %d; multicast groups, and nothing else, come last", m.table, i)
		}
		for _, a := range tables[m.table%multicastGroups].actions {
			if m.table.Metered() && actions[a].bytes() > shortParams {
				t.Errorf("%v: action %q has long parameters, which stand where the meter's configuration does", m.table, actions[a].name)
			}
		}
		if m.use != numbering {
			continue
		}
		for _, a := range tables[m.table].actions {
			if params := actions[a].params; m.number >= len(params) || params[m.number].width > 8 || m.line >= len(params) {
				t.Errorf("%v: action %q has no number at %d, or no line at %d", m.table, actions[a].name, m.number, m.line)
			}
		}
		if m.prefix != none && tables[m.table].keys[m.prefix].kind != lpm {
			t.Errorf("%v: key field %d is no prefix", m.table, m.prefix)
		}
	}
	for table := Table(1); table <= multicastGroups; table++ {
		if seen[table] != 1 {
			t.Errorf("%v is in meanings %d times: say in meaning.go what it is for, and when it is written", table, seen[table])
		}
	}
}

// TestEveryVerdictHasAMeaning verifies that verdictMeanings lists every action of the table verdict. Lets
// would treat a missing action as one that stops packets.
func TestEveryVerdictHasAMeaning(t *testing.T) {
	for _, a := range tables[verdictTable].actions {
		if verdictOf(a) == nil {
			t.Errorf("action %q of the table verdict is not in verdictMeanings: say whether it lets everything pass", actions[a].name)
		}
	}
	if len(verdictMeanings) != len(tables[verdictTable].actions) {
		t.Errorf("%d verdicts have a meaning, the table takes %d actions", len(verdictMeanings), len(tables[verdictTable].actions))
	}
	for v := Permit; v <= LastVerdict; v++ {
		if actionOf(v) == 0 {
			t.Errorf("verdict %d has no action", v)
		}
	}
}

// TestEveryActionIsTaken verifies that some table uses each action of the program, and that the schema has all
// tables.
func TestEveryActionIsTaken(t *testing.T) {
	taken := map[Action]bool{}
	for _, table := range tables[1:] {
		for _, a := range table.actions {
			taken[a] = true
		}
	}
	for a := Action(1); a <= lastAction; a++ {
		if !taken[a] {
			t.Errorf("no table takes action %q", actions[a].name)
		}
	}
	if n := len(p4src.P4Info().GetTables()); n != int(lastTable) {
		t.Errorf("the schema has %d tables, the P4Info %d: an id of id.p4 is beyond what the generator takes for the program's", lastTable, n)
	}
}

// TestCounterCells verifies that the counters have a cell for every index that this package computes.
func TestCounterCells(t *testing.T) {
	if portRuleCells != (int(MaxPort)+3)<<ruleBits {
		t.Errorf("port_rule has %d cells, want 256 for each port", portRuleCells)
	}
	if lineMailCells != (int(MaxLineIndex)+1)<<outcomeBits {
		t.Errorf("line_mail has %d cells, want 4 for each line", lineMailCells)
	}
}
