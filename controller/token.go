package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/auth"
	"op25b/internal/strict"
)

// A givenToken is the JSON output of op25b token.
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
		Short: "create a token for the API, and print its entry for the access file",
		Long: `Make a bearer token of 256 random bits, and the entry for it in the access file. No controller is involved: add the entry under
tokens in the access file, and give the token to its holder. The access file contains only the hash of the token. The token is
not printed again.`,
		Example: `  op25b token --name noc-web --role operator --expires 2027-03-31T00:00:00+09:00`,
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return errors.New("--name is missing: name the holder of the token")
			}
			secret, t, err := auth.NewToken(name, auth.Role(role), expires)
			var faults strict.Faults
			switch {
			case errors.As(err, &faults) && len(faults) > 0: // the path of a fault is the name of a flag
				return fmt.Errorf("--%s: %s; %s", faults[0].Path, faults[0].What, faults[0].Way)
			case err != nil:
				return err
			}
			w := cmd.OutOrStdout()
			if output == jsonOutput {
				return json.NewEncoder(w).Encode(givenToken{secret, t.Name, t.Role, t.SHA256, t.Expires})
			}
			quoted, err := json.Marshal(t.Name) // a JSON string is also a YAML string
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
	cmd.Flags().StringVar(&name, "name", "", "holder of the token, as shown in audit records and logs")
	cmd.Flags().StringVar(&role, "role", string(auth.Viewer), "role of the holder: viewer, operator, admin, portal or reporter")
	cmd.Flags().StringVar(&expires, "expires", "", "time when the token expires, such as 2027-03-31T00:00:00+09:00; by default never")
	addOutput(cmd, &output)
	return cmd
}
