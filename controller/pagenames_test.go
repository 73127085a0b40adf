package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestPagesNameWhatExists verifies that each command, flag, package, file, test, environment variable, metric and link that
// a page mentions exists.
func TestPagesNameWhatExists(t *testing.T) {
	n := newNames(t)
	anchors := map[string][]string{}
	for _, page := range pages(t) {
		anchors[filepath.Clean(page)] = headings(t, page)
	}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range slices.Concat(n.check(string(text)), links(page, string(text), anchors)) {
			t.Errorf("%s: %s", page, fault)
		}
	}
	for _, page := range pages(t) {
		for _, b := range pageBlocks(t, page) {
			for i, line := range b.text {
				if b.kind != "console" && (strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "op25b ")) {
					t.Errorf("%s:%d: a command that TestPages does not see: its block is no console block", page, b.line+i)
				}
			}
		}
	}
	drawings, err := filepath.Glob("../docs/*.svg")
	if err != nil || len(drawings) == 0 {
		t.Fatalf("no drawings: %v", err)
	}
	for _, drawing := range drawings {
		text, err := os.ReadFile(drawing)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`>([^<>]+)</(?:text|tspan|title|desc)>`).FindAllStringSubmatch(string(text), -1) {
			for _, word := range strings.Fields(m[1]) {
				word = strings.Trim(word, ",.:;()[]")
				if fault := n.path(word); fault != "" {
					t.Errorf("%s: %s", drawing, fault)
				}
				if identifier.MatchString(word) && !strings.Contains(n.sources, word) {
					t.Errorf("%s: nothing is named %s", drawing, word)
				}
			}
		}
	}
}

// TestPagesFindWhatIsMissing verifies that names.check and links report each kind of name that does not exist.
func TestPagesFindWhatIsMissing(t *testing.T) {
	n := newNames(t)
	for _, text := range []string{
		"run `op25b frobnicate`", "run `op25b plan --frobnicate`", "`--frobnicate` bounds it", "see `internal/frobnicate`", "see `e2e/frobnicate.go`",
		"`TestFrobnicate` holds it", "set `OP25B_FROBNICATE`", "`op25b_frobnicate_total` counts it", "```\nop25b phase frobnicate\n```",
		"```\n$ op25b status --frobnicate\n```", "`go test ./frobnicate`", "`go test ./e2e -run Frobnicate`", "`go test ./e2e -bench Frobnicate`",
	} {
		if len(n.check(text)) == 0 {
			t.Errorf("nothing is found in %q", text)
		}
	}
	if faults := links("../README.md", "[a](docs/frobnicate.md) [b](#frobnicate)", map[string][]string{"../README.md": nil}); len(faults) != 2 {
		t.Errorf("two links lead nowhere, and this is found: %q", faults)
	}
}

// names holds the names that a page may mention.
type names struct {
	root    *cobra.Command
	flags   map[string]bool // the flags of all commands
	sources string          // the text of all Go and P4 files
	tests   map[string]bool // the tests, each as "folder Name"
}

// foreignFlags are flags of other programs that pages mention without the program's name.
var foreignFlags = []string{"--bump-revision", "--cpu-port", "--dp-grpc-server-addr", "--mark-compacted", "--quota-backend-bytes", "--volumes"}

func newNames(t *testing.T) *names {
	t.Helper()
	n := &names{root: newRoot(nil), flags: map[string]bool{"--help": true}, tests: map[string]bool{}}
	n.root.InitDefaultHelpCmd()
	n.root.InitDefaultCompletionCmd()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, line := range strings.Fields(c.Flags().FlagUsages() + c.PersistentFlags().FlagUsages()) {
			if strings.HasPrefix(line, "--") {
				n.flags[strings.TrimRight(line, ",")] = true
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(n.root)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w*)\(`)
	var sources strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".p4" || filepath.Base(path) == "pagenames_test.go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sources.Write(text)
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				n.tests[strings.TrimPrefix(filepath.Dir(path), "../")+" "+m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n.sources = sources.String()
	return n
}

var (
	fence       = regexp.MustCompile("(?ms)^```[^\n]*\n(.*?)^```")
	span        = regexp.MustCompile("`([^`]+)`")
	op25bCall   = regexp.MustCompile(`(?:^|[\s(/])op25b((?: [^\s|;&<>()"']+)+)`)
	goTestCall  = regexp.MustCompile(`\bgo test (.+)`)
	shellWord   = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)
	environment = regexp.MustCompile(`\bOP25B_[A-Z0-9_]+\b`)
	metric      = regexp.MustCompile(`\bop25b_[a-z0-9_]+\b`)
	identifier  = regexp.MustCompile(`^[a-z]+(?:_[a-z0-9]+)+$`)
	testName    = regexp.MustCompile(`^(?:Test|Benchmark|Fuzz)[A-Z]\w*$`)
)

// check returns the faults of the names in a page's code, that is, in its fenced blocks and in its spans between backticks.
func (n *names) check(page string) []string {
	var faults []string
	add := func(fault string) {
		if fault != "" && !slices.Contains(faults, fault) {
			faults = append(faults, fault)
		}
	}
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		for _, line := range strings.Split(m[1], "\n") {
			command, typed := strings.CutPrefix(line, "$ ")
			if typed || strings.HasPrefix(line, "op25b ") || strings.HasPrefix(line, "go ") {
				n.command(command, add)
			}
		}
	}
	for _, m := range span.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		code := strings.Join(strings.Fields(m[1]), " ")
		if strings.HasPrefix(code, "op25b ") || strings.Contains(code, "go test ") {
			n.command(code, add)
		}
		add(n.path(code))
		switch name, _, _ := strings.Cut(strings.TrimRight(code, ":"), " "); {
		case strings.HasPrefix(code, "--"):
			if name, _, _ = strings.Cut(strings.TrimRight(name, ":"), "="); !n.flags[name] && !slices.Contains(foreignFlags, name) {
				add("no command has the flag " + name)
			}
		case testName.MatchString(code) && !n.hasTest("", "^"+code+"$", code):
			add("there is no test " + code)
		}
	}
	for _, name := range environment.FindAllString(page, -1) {
		if !strings.Contains(n.sources, name) {
			add("nothing reads the variable " + name)
		}
	}
	for _, name := range metric.FindAllString(page, -1) {
		if !strings.Contains(n.sources, name) {
			add("there is no metric " + name)
		}
	}
	return faults
}

// command checks the calls of op25b and go test in a line. It passes each fault to add.
func (n *names) command(line string, add func(string)) {
	line = strings.ReplaceAll(line, "go run ./controller", "op25b")
	for _, m := range op25bCall.FindAllStringSubmatch(line, -1) {
		c := n.root
		for i, word := range strings.Fields(m[1]) {
			word, more := strings.TrimRight(word, ",.:"), !strings.HasSuffix(word, ",")
			if name, is := strings.CutPrefix(word, "--"); is {
				name, _, _ = strings.Cut(name, "=")
				if c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil && name != "help" {
					add("op25b" + strings.TrimPrefix(c.CommandPath(), "op25b") + " has no flag --" + name)
				}
				continue
			}
			sub := slices.IndexFunc(c.Commands(), func(s *cobra.Command) bool { return s.Name() == word })
			switch {
			case sub >= 0:
				c = c.Commands()[sub]
			// A command with subcommands that is no group, such as plan, also works without a subcommand.
			case c.HasSubCommands() && c.DisableFlagsInUseLine && (i == 0 || c != n.root) && word != "" && !strings.HasPrefix(word, "./"):
				add(c.CommandPath() + " has no command " + word)
				return
			}
			if !more {
				break
			}
		}
	}
	for _, m := range goTestCall.FindAllStringSubmatch(line, -1) {
		words := shellWord.FindAllString(m[1], -1)
		if end := slices.Index(words, "|"); end >= 0 {
			words = words[:end]
		}
		for i, word := range words {
			if folder := strings.TrimSuffix(word, "..."); strings.HasPrefix(word, "./") {
				if info, err := os.Stat(filepath.Join("..", folder)); err != nil || !info.IsDir() {
					add("go test " + m[1] + ": there is no " + word)
				}
			}
			kind := map[string]string{"-run": "Test", "-bench": "Benchmark", "-fuzz": "Fuzz"}[word]
			if kind == "" || i+1 == len(words) {
				continue
			}
			pattern := strings.Trim(words[i+1], `'"`)
			if pattern != "^$" && !slices.ContainsFunc(words[:i], func(folder string) bool { return n.hasTest(folder, pattern, kind) }) {
				add("go test " + m[1] + ": nothing is named " + pattern)
			}
		}
	}
}

// hasTest reports whether a folder contains a test of the given kind whose name matches the pattern of -run. The folders "" and ./... stand for
// all folders.
func (n *names) hasTest(folder, pattern, kind string) bool {
	pattern, _, _ = strings.Cut(pattern, "/")
	matched, err := regexp.Compile(pattern)
	if err != nil {
		return false
	}
	below, all := strings.CutSuffix(strings.TrimPrefix(folder, "./"), "...")
	below = strings.TrimSuffix(below, "/")
	for test := range n.tests {
		dir, name, _ := strings.Cut(test, " ")
		if strings.HasPrefix(name, kind) && matched.MatchString(name) && (folder == "" || dir == below || all && strings.HasPrefix(dir, below)) {
			return true
		}
	}
	return false
}

var ownPath = regexp.MustCompile(`^(\./)?(\.ci|controller|docs|e2e|examples|internal|p4src|proto|tools)(/[\w.*/{},-]*)?$`)

// path returns a fault if name is a path in the repository that does not exist, and an empty string otherwise.
func (n *names) path(name string) string {
	if !ownPath.MatchString(name) {
		return ""
	}
	file := strings.TrimRight(strings.TrimSuffix(name, "..."), "/")
	if found, err := filepath.Glob(filepath.Join("..", file)); err != nil || len(found) == 0 {
		return "there is no " + name
	}
	return ""
}

var (
	codeSpan = regexp.MustCompile("`[^`\n]*`") // text in which there are no links
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// links returns a fault for each link on a page whose file or heading does not exist in the repository.
func links(page, text string, anchors map[string][]string) []string {
	var faults []string
	for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
		file, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(file, "://") {
			continue
		}
		target := filepath.Clean(page)
		if file != "" {
			target = filepath.Join(filepath.Dir(page), file)
		}
		if _, err := os.Stat(target); err != nil {
			faults = append(faults, "the link "+m[1]+" leads nowhere")
		} else if anchor != "" && !slices.Contains(anchors[target], anchor) {
			faults = append(faults, "the link "+m[1]+" leads to no heading")
		}
	}
	return faults
}

// headings returns the anchors that GitHub generates for a page's headings.
func headings(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		kept := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(kept, " ", "-"))
	}
	return all
}

// TestPagesAreFound verifies that README.md links to every page, and that docs/developing.md describes every package.
func TestPagesAreFound(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme, developing := read("../README.md"), read("../docs/developing.md")
	for _, page := range pages(t) {
		if name := strings.TrimPrefix(page, "../"); name != "README.md" && !strings.Contains(readme, "]("+name+")") {
			t.Errorf("README.md does not lead to %s", name)
		}
	}
	rooms, err := filepath.Glob("../internal/*")
	if err != nil || len(rooms) < 10 {
		t.Fatalf("%d packages: %v", len(rooms), err)
	}
	for _, room := range rooms {
		if name := strings.TrimPrefix(room, "../"); !strings.Contains(developing, "| `"+name+"` |") && !strings.Contains(developing, "| `"+name+"/") {
			t.Errorf("docs/developing.md does not describe %s", name)
		}
	}
}
