package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/softswitch/p4rtserver"
	"op25b/p4src"
)

// version is the release of op25b.
const version = "0.1.0"

// versions is the JSON output of op25b version.
type versions struct {
	Op25b           string `json:"op25b"`
	Pipeline        string `json:"pipeline"`
	PipelineVersion string `json:"pipelineVersion"`
	PipelineSources string `json:"pipelineSources"` // the SHA-256 of the sources
	P4Runtime       string `json:"p4runtime"`
}

func currentVersions() versions {
	pkg := p4src.P4Info().GetPkgInfo()
	return versions{version, pkg.GetName(), pkg.GetVersion(), p4src.BuiltFrom(), p4rtserver.APIVersion}
}

// versionLine returns the text that op25b version and op25b --version print.
func versionLine() string {
	v := currentVersions()
	return fmt.Sprintf("op25b %s, pipeline %s %s (sources %.12s), P4Runtime %s", v.Op25b, v.Pipeline, v.PipelineVersion, v.PipelineSources, v.P4Runtime)
}

func newVersion() *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "print the versions of op25b, its pipeline and P4Runtime",
		Example: `  op25b version -o json`,
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == jsonOutput {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(currentVersions())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
	addOutput(cmd, &output)
	return cmd
}
