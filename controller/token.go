package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/auth"
)

// A givenToken is what op25b token prints as JSON.
type givenToken struct {
	Token   string    `json:"token"`
	Name    string    `json:"name"`
	Role    auth.Role `json:"role"`
	SHA256  string    `json:"sha256"`
	Expires string    `json:"expires,omitempty"`
}

func newToken() *cobra.Command {
	var output outputFormat
	var name, role, expires string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "make a token for the API, and its line in the access file",
		Long: `token makes a bearer token of 256 random bits. It asks no controller: put the line under tokens in the access file, and give the token to
who is to have it. The access file has the token's hash; the token is shown here and nowhere else.`,
		Example: `  op25b token --name noc-web --role operator --expires 2027-03-31T00:00:00+09:00`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, t, err := auth.NewToken(name, auth.Role(role), expires)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if output == jsonOutput {
				return json.NewEncoder(w).Encode(givenToken{secret, t.Name, t.Role, t.SHA256, t.Expires})
			}
			quoted, err := json.Marshal(t.Name) // a JSON string is a YAML string
			if err != nil {
				return err
			}
			until := ""
			if t.Expires != "" {
				until = ", expires: " + t.Expires
			}
			_, err = fmt.Fprintf(w, "token: %s\naccess file: - {name: %s, role: %s, sha256: %s%s}\n", secret, quoted, t.Role, t.SHA256, until)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "who has it, in records and logs")
	cmd.Flags().StringVar(&role, "role", string(auth.Viewer), "what it may do at most: viewer, operator or admin")
	cmd.Flags().StringVar(&expires, "expires", "", "when it is no longer good, such as 2027-03-31T00:00:00+09:00; by default never")
	addOutput(cmd, &output)
	return cmd
}
