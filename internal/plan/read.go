package plan

import (
	"context"
	"fmt"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/tlsfiles"
)

// A Reader reads from one switch. *p4rt.Reader implements it.
type Reader interface {
	// PipelineCookie returns the cookie that identifies the program on the switch. ok is false if the switch runs no program.
	PipelineCookie(ctx context.Context) (cookie uint64, ok bool, err error)
	reconcile.Reader
	Close() error
}

var _ Reader = (*p4rt.Reader)(nil)

// DialSwitch connects to a switch with the address and the TLS files of the inventory. The returned Reader does not take part in
// P4Runtime's arbitration.
func DialSwitch(ctx context.Context, sw *policy.Switch) (Reader, error) {
	cfg := p4rt.Config{Addr: sw.P4Runtime, DeviceID: uint64(sw.DeviceID), DialTimeout: DefaultDialTimeout}
	if sw.TLS.Used() {
		secure, err := tlsfiles.Client(tlsfiles.Files{CA: sw.TLS.CA, Cert: sw.TLS.Cert, Key: sw.TLS.Key, ServerName: sw.TLS.ServerName})
		if err != nil {
			return nil, err
		}
		cfg.TLS = secure
	}
	return p4rt.DialReader(ctx, cfg)
}

// A found is the result of reading a switch.
type found struct {
	standing Standing
	reason   string
	entries  []pipeline.Entry
}

// read reads a switch. It reports a failure as a Standing instead of an error.
func (p *Planner) read(ctx context.Context, sw *policy.Switch) found {
	unreachable := func(err error) found { return found{standing: Unreachable, reason: err.Error()} }
	r, err := p.cfg.Dial(ctx, sw)
	if err != nil {
		return unreachable(err)
	}
	defer r.Close()
	cookie, ok, err := r.PipelineCookie(ctx)
	switch {
	case err != nil:
		return unreachable(err)
	case !ok:
		return found{standing: Empty, reason: "it runs no program; op25b's will be pushed"}
	case cookie != p.program.Cookie():
		return found{standing: Other, reason: fmt.Sprintf(
			"it runs the program with cookie %#x, and op25b's is %#x: it will be replaced, together with all entries", cookie, p.program.Cookie())}
	}
	entries, err := reconcile.Read(ctx, r)
	if err != nil {
		return unreachable(err)
	}
	return found{standing: Read, entries: entries}
}
