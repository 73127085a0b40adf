package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// explainUsage has the errors of a wrong command line say what would be valid: the usage line after a wrong number of arguments, and the form
// of a value where pflag reports only that it could not be parsed.
func explainUsage(root *cobra.Command) {
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return explainFlag(err) })
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
				}
				return nil
			}
		}
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(root)
}

func explainFlag(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	var want string
	switch invalid.GetFlag().Value.Type() {
	case "duration":
		want = "want a number with a unit, such as 30s, 5m or 1h"
	case "int", "int64":
		want = "want a whole number"
	case "uint", "uint32", "uint64":
		want = "want a whole number from 0 on"
	case "uint16":
		want = "want a whole number from 0 to 65535"
	case "bool":
		want = "want true or false"
	default: // our own values say it themselves
		return err
	}
	return errors.New(strings.TrimSuffix(err.Error(), invalid.Unwrap().Error()) + want)
}
