package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxHelpLine is the limit on the characters of a line of a long help text.
const maxHelpLine = 140

// All help texts have the same form: a short imperative phrase, sentences, and examples whose commands and flags exist.
func TestHelp(t *testing.T) {
	root := newRoot(nil)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" { // cobra adds this command
			return
		}
		path := cmd.CommandPath()
		if first := []rune(cmd.Short)[0]; cmd != root && !unicode.IsLower(first) || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short %q: must be a phrase in lower case without a full stop", path, cmd.Short)
		}
		if long := cmd.Long; long != "" && (!unicode.IsUpper([]rune(long)[0]) || !strings.HasSuffix(long, ".")) {
			t.Errorf("%s: Long %q: must be sentences", path, long)
		}
		for line := range strings.Lines(cmd.Long) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > maxHelpLine {
				t.Errorf("%s: Long has a line of %d characters, at most %d: %q", path, n, maxHelpLine, line)
			}
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", path)
		}
		checkExample(t, root, path, cmd.Example)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			start := []rune(f.Usage)[:2]
			if unicode.IsUpper(start[0]) && unicode.IsLower(start[1]) || strings.HasSuffix(f.Usage, ".") && !strings.HasSuffix(f.Usage, "...") {
				t.Errorf("%s --%s: %q: must be a phrase in lower case without a full stop", path, f.Name, f.Usage)
			}
		})
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(root)
}

func checkExample(t *testing.T, root *cobra.Command, path, example string) {
	t.Helper()
	example = strings.ReplaceAll(example, "\\\n", "")
	for line := range strings.FieldsFuncSeq(example, func(r rune) bool { return r == '\n' || r == ';' }) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "op25b" {
			t.Errorf("%s: the example %q is not a command of op25b", path, line)
			continue
		}
		cmd, _, err := root.Find(words[1:])
		if err != nil || cmd == root {
			t.Errorf("%s: the example %q names no command: %v", path, line, err)
			continue
		}
		for _, word := range words {
			if name, is := strings.CutPrefix(word, "--"); is && cmd.Flags().Lookup(name) == nil {
				t.Errorf("%s: the example %q has an unknown flag %s", path, line, word)
			}
		}
	}
}

// A misspelled subcommand and a wrong number of arguments are errors.
func TestWrongCommand(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"aply", `unknown command "aply"; the nearest is apply; op25b --help lists the commands`},
		{"phase activat", `unknown command "activat"; the nearest is activate; op25b phase --help lists the commands`},
		{"store foo", `unknown command "foo"; op25b store --help lists the commands`},
		{"audit foo", `unknown command "foo"; op25b audit --help lists the commands`},
		{"completion foo", `unknown command "foo"; op25b completion --help lists the commands`},
		{"help foo", `unknown command "foo"; op25b --help lists the commands`},
		{"help phase foo", `unknown command "foo"; op25b phase --help lists the commands`},
		{"diff", "2 arguments are missing; usage: op25b diff A B [flags]"},
		{"diff 1 2 3", `unexpected argument "3"; usage: op25b diff A B [flags]`},
		{"version x", `unexpected argument "x"; usage: op25b version [flags]`},
		{"token", "--name is missing: name the holder of the token"},
		{"replay x", "--to is missing: give the P4Runtime address of the switch to write to, as host:port"},
		{"replay x --to 127.0.0.1:1", "recording x: no such file or directory"},
		{"replay x --to 127.0.0.1:1 --election-id 0", "--election-id 0: must be 1 or more"},
		{"store restore x", "no store to restore into: give --data-dir DIR or --etcd ENDPOINTS"},
	} {
		root := newRoot(nil)
		root.SetArgs(strings.Fields(c.args))
		if err := root.ExecuteContext(t.Context()); err == nil || err.Error() != c.want {
			t.Errorf("op25b %s: %v, want %s", c.args, err, c.want)
		}
	}
}
