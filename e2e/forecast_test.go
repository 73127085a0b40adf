package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"op25b/internal/client"
	"op25b/internal/demo"
	op25bv1 "op25b/proto/op25b/v1"
)

// forecasts contains the forecasts of the later phases that a controller made after each phase of a demo. A forecast is the list of lines
// that use what the phase would newly stop.
type forecasts struct {
	made map[[2]string][]string // by the phase in force and the forecast phase
}

// after requests the forecasts of all later phases. Because the last mail flows may still be on their way, it repeats the requests for at
// most 10 s, until the lines are those whose mails the phase monitored.
func (f *forecasts) after(ctx context.Context, now *demo.Phase, c *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	listed, err := client.Ask(ctx, 0, c.Phase.ListPhases, &op25bv1.ListPhasesRequest{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(listed.Phases, func(p *op25bv1.Phase) bool { return p.Name == now.Phase })
	for _, p := range listed.Phases[i+1:] {
		for over := time.Now().Add(10 * time.Second); ; {
			names, err := forecastOf(ctx, c, p.Name)
			if err != nil {
				return err
			}
			if f.made[[2]string{now.Phase, p.Name}] = names; slices.Equal(names, monitored(now, p.Name)) || time.Now().After(over) {
				break
			}
		}
	}
	return nil
}

// monitored returns the lines with a mail that the phase in force monitored and that a later phase must stop, according to the rules of 2006.
func monitored(p *demo.Phase, later string) []string {
	return linesOf(p, func(a demo.Attempt) bool {
		return a.Action == "monitor" && (later == "all-destinations" || a.To == "carrier-mx")
	})
}

func linesOf(p *demo.Phase, is func(demo.Attempt) bool) []string {
	var names []string
	for _, a := range p.Attempts {
		if is(a) {
			names = append(names, a.From)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// forecastOf returns the names of the lines in a forecast.
func forecastOf(ctx context.Context, c *client.Client, phase string) ([]string, error) {
	f, err := client.Ask(ctx, 0, c.Abuse.Forecast, &op25bv1.ForecastRequest{Phase: phase})
	switch {
	case err != nil:
		return nil, err
	case len(f.Missing) > 0 || f.Incomplete:
		return nil, fmt.Errorf("the forecast is not complete: %v", f)
	case len(f.Lines) == 0:
		return nil, nil
	}
	var ids, names []string
	for _, l := range f.Lines {
		ids = append(ids, l.Id)
	}
	r, err := client.Ask(ctx, 0, c.Abuse.ResolveLines, &op25bv1.ResolveLinesRequest{Ids: ids, Reason: "test of the forecast"})
	for _, l := range r.GetLines() {
		names = append(names, l.Line)
	}
	slices.Sort(names)
	return names, err
}

// check compares each forecast with the outcome. The forecast must contain the lines with a mail that was delivered in the phase in which the
// forecast was made, and blocked in the forecast phase.
func (f *forecasts) check(t *testing.T, report *demo.Report) {
	t.Helper()
	compared := 0
	for i := range report.Phases {
		for j := i + 1; j < len(report.Phases); j++ {
			was, is := &report.Phases[i], &report.Phases[j]
			var names []string
			for k, a := range was.Attempts { // the attempts of all phases are in the same order
				b := is.Attempts[k]
				if a.From != b.From || a.To != b.To || a.Port != b.Port || a.Family != b.Family {
					t.Fatalf("attempt %d is %+v and %+v", k, a, b)
				}
				if a.Result == demo.Delivered && b.Result == demo.Blocked {
					names = append(names, a.From)
				}
			}
			slices.Sort(names)
			names = slices.Compact(names)
			if got := f.made[[2]string{was.Phase, is.Phase}]; !slices.Equal(got, names) {
				t.Errorf("in phase %s, the forecast of %s has %v; the phase then blocked %v", was.Phase, is.Phase, got, names)
			}
			compared++
		}
	}
	if compared != 3 {
		t.Errorf("%d forecasts were compared, want 3", compared)
	}
}
