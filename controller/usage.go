package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exactly and atMost check the number of arguments. Unlike the functions of cobra, they include the usage line in their errors.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func atMost(n int) cobra.PositionalArgs { return between(0, n) }

func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > most:
			return fmt.Errorf("unexpected argument %q; usage: %s", args[most], cmd.UseLine())
		case len(args) < least:
			return fmt.Errorf("%s missing; usage: %s", counted(least-len(args), "argument is", "arguments are"), cmd.UseLine())
		}
		return nil
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// group makes cmd a command that only groups subcommands. Without arguments, cmd prints its help. It refuses any argument as an unknown
// subcommand.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance, cmd.DisableFlagsInUseLine = 2, true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknownCommand(cmd, args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func unknownCommand(parent *cobra.Command, name string) error {
	text := fmt.Sprintf("unknown command %q; ", name)
	if near := parent.SuggestionsFor(name); len(near) > 0 {
		text += fmt.Sprintf("the nearest is %s; ", strings.Join(near, ", "))
	}
	return fmt.Errorf("%s%s --help lists the commands", text, parent.CommandPath())
}

// newHelp returns a replacement for cobra's help command, which exits with status 0 for an unknown command.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]...",
		Short:   "show the help of a command",
		Example: `  op25b help phase activate`,
		RunE: func(cmd *cobra.Command, args []string) error {
			named, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(named, rest[0])
			}
			return named.Help()
		},
	}
}

// explainFlag adds advice to an error about a flag: the valid values if the value is invalid, or the command that lists the flags if the
// flag is unknown.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	}
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	var want string
	switch invalid.GetFlag().Value.Type() {
	case "duration":
		want = "must be a number with a unit, such as 30s, 5m or 1h"
	case "int", "int64":
		want = "must be a whole number"
	case "uint", "uint32", "uint64":
		want = "must be a whole number from 0"
	case "uint16":
		want = "must be a whole number from 0 to 65535"
	case "bool":
		want = "must be true or false"
	default: // the flag types of this program list the valid values in their errors
		return err
	}
	return errors.New(strings.TrimSuffix(err.Error(), invalid.Unwrap().Error()) + want)
}
