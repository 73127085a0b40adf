// Command dashboard writes the Grafana dashboard of op25b.
//
// The dashboard uses the recording rules in op25b.records.yml. It has one variable for the Prometheus data source and one for the
// switches.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

//go:generate go run . ../op25b.grafana.json

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboard FILE")
		os.Exit(2)
	}
	text, err := render(panels())
	if err == nil {
		err = os.WriteFile(os.Args[1], text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

// render returns the dashboard as JSON with one value per line, so that a diff is readable.
func render(all []panel) ([]byte, error) {
	d := dashboard{
		UID: "op25b", Title: "op25b", Description: "What the switches of op25b stop and pass, and the state of their collection.",
		Tags: []string{"op25b"}, Editable: true, SchemaVersion: 39, Refresh: "30s", Time: span{"now-24h", "now"},
		Templating: templating{[]variable{
			{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"},
			{
				Name: "switch", Label: "Switch", Type: "query", Datasource: &source, Query: "label_values(switch:op25b_telemetry_up:max, switch)",
				Refresh: onTimeRange, Sort: alphabetical, Multi: true, IncludeAll: true, AllValue: ".*",
			},
		}},
		Annotations: templating{[]variable{}}, Panels: place(all),
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
