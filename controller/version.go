package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/softswitch/p4rtserver"
	"op25b/p4src"
)

// version is the release; it is the version of the pipeline too.
const version = "0.1.0"

// versions are what the command prints.
type versions struct {
	Op25b           string `json:"op25b"`
	Pipeline        string `json:"pipeline"`
	PipelineVersion string `json:"pipelineVersion"`
	PipelineSources string `json:"pipelineSources"` // SHA-256
	P4Runtime       string `json:"p4runtime"`
}

func newVersion() *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the versions of op25b, its pipeline and P4Runtime",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pkg := p4src.P4Info().GetPkgInfo()
			v := versions{version, pkg.GetName(), pkg.GetVersion(), p4src.BuiltFrom(), p4rtserver.APIVersion}
			if output == jsonOutput {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "op25b %s, pipeline %s %s (sources %.12s), P4Runtime %s\n",
				v.Op25b, v.Pipeline, v.PipelineVersion, v.PipelineSources, v.P4Runtime)
			return err
		},
	}
	addOutput(cmd, &output)
	return cmd
}
