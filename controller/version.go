package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/softswitch/p4rtserver"
	"op25b/p4src"
)

// version is the release; it is the version of the pipeline too.
const version = "0.1.0"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the versions of op25b, its pipeline and P4Runtime",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pkg := p4src.P4Info().GetPkgInfo()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "op25b %s, pipeline %s %s (sources %.12s), P4Runtime %s\n",
				version, pkg.GetName(), pkg.GetVersion(), p4src.BuiltFrom(), p4rtserver.APIVersion)
			return err
		},
	}
}
