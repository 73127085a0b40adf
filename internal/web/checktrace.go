package web

import (
	"fmt"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// A traceData is the trace of one segment in the pipeline, in English.
type traceData struct {
	Title string
	Hits  string // the tables with a matching entry, one a line
	All   string // all steps, one a line
	Steps int
}

// foldTraces takes the traces out of an answer, because each has hundreds of steps, and returns them with the tables that matched.
func foldTraces(r *op25bv1.CheckResponse) []traceData {
	var all []traceData
	for _, result := range r.Results {
		text := result.GetTrace().GetText()
		result.Trace = nil
		var hits, steps strings.Builder
		end := func() {
			if n := len(all); n > 0 && steps.Len() > 0 {
				all[n-1].Hits, all[n-1].All = hits.String(), steps.String()
			}
			hits.Reset()
			steps.Reset()
		}
		for line := range strings.Lines(text) {
			step, inside := strings.CutPrefix(line, "    ")
			if !inside {
				end()
				all = append(all, traceData{Title: fmt.Sprintf("%s: %s and %s", strings.TrimSpace(line), result.From, result.To)})
				continue
			}
			if len(all) > 0 {
				all[len(all)-1].Steps++
			}
			steps.WriteString(step)
			if strings.HasPrefix(step, "table ") && strings.Contains(step, ": hit") {
				hits.WriteString(step)
			}
		}
		end()
	}
	return all
}
