package pagetest

import (
	"fmt"
	"slices"
	"strconv"
)

// controls are the roles of what a person operates (WAI-ARIA 1.2 section 5.3.2).
var controls = []string{
	"button", "checkbox", "combobox", "link", "listbox", "menuitem", "menuitemcheckbox", "menuitemradio", "option", "radio", "searchbox", "slider",
	"spinbutton", "switch", "tab", "textbox", "treeitem", "DisclosureTriangle", "Date", "DateTime", "InputTime",
}

// named are the other roles that need a name, because a screen reader lists or announces them by their names. A form is a landmark only if it
// has a name (HTML Accessibility API Mappings 1.0).
var named = []string{"navigation", "region", "search", "group", "radiogroup", "image", "img", "figure", "dialog", "graphics-document"}

// live are the roles whose changes a screen reader announces, with the urgency that each implies (WAI-ARIA 1.2 section 5.3.5).
var live = map[string]string{"status": "polite", "log": "polite", "alert": "assertive"}

// Faults checks a page's accessibility tree, of which n is the root, against rules of WCAG 2.2. It returns a sentence for each violation:
//
//   - the page has a title (2.4.2), one main landmark, and at most one banner and one contentinfo (1.3.1)
//   - every control has a name and a role, and so has whatever else the keyboard reaches (4.1.2)
//   - landmarks and images have names (1.1.1, 2.4.1), and two landmarks of one kind have different names
//   - there is one heading of level 1, no heading is empty, and no level is left out (1.3.1, 2.4.6)
//   - every table has column headers, and every row of its body has a row header (1.3.1)
//   - changes in a status or an alert are announced (4.1.3)
func (n *Node) Faults() []string {
	var faults []string
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if n.Role != "RootWebArea" || n.Name == "" {
		bad("the page has no title")
	}
	count, landmarks := make(map[string]int), make(map[string]bool)
	level := 0
	for x := range n.All() {
		count[x.Role]++
		focusable := x.Properties["focusable"] == "true" && x != n && x.Role != "main" // a link leads to main, which the keyboard does not reach
		details := len(x.Children) > 0 && x.Children[0].Role == "DisclosureTriangle"   // a group that its summary describes
		switch {
		case x.Name == "" && !details && (slices.Contains(controls, x.Role) || slices.Contains(named, x.Role)):
			bad("a %s has no name: %s", x.Role, near(x))
		case focusable && (x.Role == "generic" || x.Role == "none"):
			bad("the keyboard reaches something without a role: %s", near(x))
		case focusable && x.Name == "":
			bad("the keyboard reaches a %s without a name: %s", x.Role, near(x))
		}
		switch x.Role {
		case "navigation", "region", "form", "search":
			if landmarks[x.Role+" "+x.Name] && x.Name != "" {
				bad("two landmarks are the %s %q", x.Role, x.Name)
			}
			landmarks[x.Role+" "+x.Name] = true
		case "heading":
			at, _ := strconv.Atoi(x.Properties["level"])
			if x.Name == "" {
				bad("a heading of level %d is empty", at)
			}
			if at > level+1 {
				bad("the heading %q has level %d after level %d", x.Name, at, level)
			}
			if at == 1 {
				count["h1"]++
			}
			level = at
		case "table":
			x.tableFaults(bad)
		}
		if want, announced := live[x.Role]; announced && x.Properties["live"] != want {
			bad("changes of the %s %q are announced as %q, want %q", x.Role, x.Name, x.Properties["live"], want)
		}
	}
	if count["h1"] != 1 {
		bad("%d headings have level 1, want 1", count["h1"])
	}
	if count["main"] != 1 || count["banner"] > 1 || count["contentinfo"] > 1 {
		bad("the page has %d main, %d banner and %d contentinfo, want 1 main and at most 1 of the others", count["main"], count["banner"], count["contentinfo"])
	}
	return faults
}

func (n *Node) tableFaults(bad func(string, ...any)) {
	columns := 0
	for x := range n.All() {
		if x.Role == "columnheader" {
			columns++
		}
		if x.Role != "row" {
			continue
		}
		has := func(role string) bool {
			return slices.ContainsFunc(x.Children, func(c *Node) bool { return c.Role == role })
		}
		if has("cell") && !has("rowheader") {
			bad("a row of a table has no header: %s", near(x))
		}
	}
	if columns == 0 {
		bad("a table has no column headers: %s", near(n))
	}
}

// near describes a node by the text in and below it.
func near(n *Node) string {
	if words := []rune(n.Words()); len(words) > 0 {
		return strconv.Quote(string(words[:min(len(words), 60)]))
	}
	return "without text"
}
