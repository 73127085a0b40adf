package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/tlsfiles"
	op25bv1 "op25b/proto/op25b/v1"
)

// completeWithin is how long a completion may ask a controller. A person waits for it at the prompt.
const completeWithin = 2 * time.Second

// A lister asks a controller for the names of one kind of thing.
type lister func(context.Context, *client.Client) ([]string, error)

// argumentNames maps commands to the names that their arguments take, and flagNames flags of all commands that ask a controller.
var (
	argumentNames = map[string]lister{
		"op25b status": listSwitches, "op25b drift": listSwitches, "op25b prove": listSwitches, "op25b switch-hold": listSwitches, "op25b switch-release": listSwitches,
		"op25b phase activate": listPhases, "op25b phase show": listPhases, "op25b find": listLineNames,
	}
	flagNames = map[string]lister{
		"switch": listSwitches, "switches": listSwitches, "phase": listPhases, "group": listGroups, "groups": listGroups, "line": listLineNames,
	}
)

// addCompletion makes shells complete the names of switches, lines, phases and line groups. A completion is silent if no controller answers.
func addCompletion(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		addCompletion(sub)
	}
	if cmd.Flags().Lookup("server") == nil {
		return
	}
	if list, is := argumentNames[cmd.CommandPath()]; is {
		cmd.ValidArgsFunction = completing(list)
	}
	for flag, list := range flagNames {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, completing(list)) // it fails only for a flag that there is not
		}
	}
}

// completing completes the last name of a list that is separated by commas.
func completing(list lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		const none = cobra.ShellCompDirectiveNoFileComp
		text := func(flag string) string {
			value, _ := cmd.Flags().GetString(flag) // "" for a flag that there is not
			return value
		}
		c, err := client.New(client.Config{
			Server: text("server"), TokenFile: text("token-file"), TLS: tlsfiles.Files{CA: text("ca"), Cert: text("cert"), Key: text("key")},
		})
		if err != nil {
			return nil, none
		}
		defer c.Close()
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completeWithin)
		defer cancel()
		names, err := list(ctx, c)
		if err != nil {
			return nil, none
		}
		before := toComplete[:strings.LastIndex(toComplete, ",")+1]
		given := append(strings.Split(before, ","), args...)
		var all []string
		for _, name := range names {
			if full := before + name; strings.HasPrefix(full, toComplete) && !slices.Contains(given, name) {
				all = append(all, full)
			}
		}
		return all, none
	}
}

func listSwitches(ctx context.Context, c *client.Client) (names []string, err error) {
	r, err := client.Ask(ctx, 0, c.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{})
	for _, s := range r.GetSwitches() {
		names = append(names, s.Switch)
	}
	return names, err
}

func listPhases(ctx context.Context, c *client.Client) (names []string, err error) {
	r, err := client.Ask(ctx, 0, c.Phase.ListPhases, &op25bv1.ListPhasesRequest{})
	for _, p := range r.GetPhases() {
		names = append(names, p.Name)
	}
	return names, err
}

// linesCompleted is the number of lines among which names are completed. More would not help at a prompt.
const linesCompleted = 1000

func listLineNames(ctx context.Context, c *client.Client) (names []string, err error) {
	r, err := client.Ask(ctx, 0, c.Fleet.ListLines, &op25bv1.ListLinesRequest{Limit: linesCompleted})
	for _, l := range r.GetLines() {
		names = append(names, l.Line)
	}
	return names, err
}

// listGroups returns the line groups that have lines.
func listGroups(ctx context.Context, c *client.Client) (names []string, err error) {
	r, err := client.Ask(ctx, 0, c.Fleet.ListLines, &op25bv1.ListLinesRequest{Limit: linesCompleted})
	for _, l := range r.GetLines() {
		if !slices.Contains(names, l.Group) {
			names = append(names, l.Group)
		}
	}
	slices.Sort(names)
	return names, err
}
