package fleet

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"op25b/internal/p4rt"
	"op25b/internal/policy"
)

// A Worker keeps one switch in one state: it connects, becomes primary, converges, and does so again whenever the switch comes back
// after a loss. While it is not primary it writes nothing (I3); when it ends, the switch stays as it is (I4).
type Worker struct {
	Session  p4rt.KeepConfig
	Want     *policy.Compiled
	Logger   *zap.Logger
	OnResult func(Result, error) // told after each attempt to converge; may be nil
}

// Run works until ctx ends, and then returns nil.
func (w *Worker) Run(ctx context.Context) error {
	log := w.Logger.With(zap.String("switch", w.Want.Switch), zap.String("phase", w.Want.Phase))
	cfg := w.Session
	tell := cfg.OnStatus
	var last p4rt.Status
	cfg.OnStatus = func(s p4rt.Status) {
		// A line for a change, not for each attempt that fails as the one before did.
		if s.State != last.State || s.Reason != last.Reason {
			log.Info("session", zap.Stringer("state", s.State), zap.String("reason", string(s.Reason)), zap.Error(s.Err))
		}
		last = s
		if tell != nil {
			tell(s)
		}
	}
	err := p4rt.Keep(ctx, cfg, func(ctx context.Context, s *p4rt.Session) error {
		result, err := Converge(ctx, s, &w.Want.State)
		if w.OnResult != nil {
			w.OnResult(result, err)
		}
		if err != nil {
			return fmt.Errorf("converge: %w", err)
		}
		log.Info("converged", zap.Bool("pushed", result.Pushed), zap.Uint8("epoch", uint8(result.Plan.Running)),
			zap.Int("added", len(result.Plan.Added)), zap.Int("changed", len(result.Plan.Changed)), zap.Int("removed", len(result.Plan.Removed)))
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
