package main

import "strconv"

// The grid of a dashboard is 24 columns wide. Number panels are 4 columns wide, and all other panels are 12 columns wide.
const (
	columns      = 24
	numberWidth  = 4
	numberHeight = 4
	graphWidth   = 12
	graphHeight  = 8
)

// These are the colours of thresholds.
const (
	green  = "green"
	orange = "orange"
	red    = "red"
)

// A drawing specifies how a graph draws its series.
type drawing string

const (
	plain   drawing = "none"
	stacked drawing = "normal"
	percent drawing = "percent"
)

// place returns the panels with their ids and positions, from left to right and from top to bottom.
func place(all []panel) []panel {
	placed := make([]panel, len(all))
	x, y, height := 0, 0, 0
	for i, p := range all {
		if p.Type == "row" || x+p.GridPos.W > columns {
			x, y, height = 0, y+height, 0
		}
		p.ID, p.GridPos.X, p.GridPos.Y = i+1, x, y
		x, height = x+p.GridPos.W, max(height, p.GridPos.H)
		placed[i] = p
	}
	return placed
}

func row(title string) panel {
	collapsed := false
	return panel{Type: "row", Title: title, GridPos: gridPos{H: 1, W: columns}, Collapsed: &collapsed, Panels: &[]panel{}}
}

// number returns a panel with one current value. colours has the base colour, followed by pairs of a threshold and the colour from
// that threshold on.
func number(title, description, unit, expr string, colours ...any) panel {
	t := &thresholds{Mode: "absolute"}
	for i, c := range colours {
		if name, is := c.(string); is {
			s := step{Color: name}
			if i > 0 {
				v := float64(colours[i-1].(int))
				s.Value = &v
			}
			t.Steps = append(t.Steps, s)
		}
	}
	colour := "value"
	if len(colours) == 0 {
		t, colour = nil, "none"
	}
	return panel{
		Type: "stat", Title: title, Description: description, Datasource: &source, GridPos: gridPos{H: numberHeight, W: numberWidth},
		Targets:     []target{{RefID: "A", Datasource: &source, Expr: expr, Instant: true, Format: "time_series"}},
		FieldConfig: &fieldConfig{Defaults: fields{Unit: unit, Thresholds: t, NoValue: "0"}, Overrides: []override{}},
		Options: map[string]any{
			"colorMode": colour, "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true,
			"showPercentChange": false, "percentChangeColorMode": "standard",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

// graph returns a graph over time. more contains further expressions, each followed by its legend.
func graph(title, description, unit, expr, legend string, draw drawing, more ...string) panel {
	fill := 0
	if draw != plain {
		fill = 30
	}
	p := panel{
		Type: "timeseries", Title: title, Description: description, Datasource: &source, GridPos: gridPos{H: graphHeight, W: graphWidth},
		FieldConfig: &fieldConfig{Defaults: fields{Unit: unit, Custom: map[string]any{
			"drawStyle": "line", "fillOpacity": fill, "lineWidth": 1, "showPoints": "never", "stacking": map[string]any{"group": "A", "mode": string(draw)},
		}}, Overrides: []override{}},
		Options: described(),
	}
	queries := append([]string{expr, legend}, more...)
	for i := 0; i+1 < len(queries); i += 2 {
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i/2)), Datasource: &source, Expr: queries[i], LegendFormat: queries[i+1], Range: true, Format: "time_series",
		})
	}
	return p
}

// table returns a table with a row for each current series, which has the labels and the value.
func table(title, description, unit, expr string) panel {
	return panel{
		Type: "table", Title: title, Description: description, Datasource: &source, GridPos: gridPos{H: graphHeight, W: graphWidth},
		Targets:     []target{{RefID: "A", Datasource: &source, Expr: expr, Instant: true, Format: "table"}},
		FieldConfig: &fieldConfig{Overrides: []override{{matcher{"byName", "Value"}, []property{{"unit", unit}}}}},
		Options:     map[string]any{"showHeader": true, "cellHeight": "sm", "frameIndex": 0},
		Transform:   []transform{{"organize", map[string]any{"excludeByName": map[string]bool{"Time": true}, "indexByName": map[string]int{}, "renameByName": map[string]string{}}}},
	}
}

// timeline returns a panel with a band for each series, which shows when the value was 1.
func timeline(title, description, expr, legend string) panel {
	states := map[string]result{}
	for i, r := range []result{{Text: "not current", Color: red}, {Text: "current", Color: green}} {
		r.Index = i
		states[strconv.Itoa(i)] = r
	}
	options := described()
	options["mergeValues"], options["showValue"], options["rowHeight"] = true, "never", 0.9
	return panel{
		Type: "state-timeline", Title: title, Description: description, Datasource: &source, GridPos: gridPos{H: graphHeight, W: graphWidth},
		Targets: []target{{RefID: "A", Datasource: &source, Expr: expr, LegendFormat: legend, Range: true, Format: "time_series"}},
		FieldConfig: &fieldConfig{
			Defaults:  fields{Custom: map[string]any{"fillOpacity": 70, "lineWidth": 0}, Mappings: []mapping{{"value", states}}},
			Overrides: []override{},
		},
		Options: options,
	}
}

// described returns the options for a legend below a graph and for a tooltip with all series.
func described() map[string]any {
	return map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
}
