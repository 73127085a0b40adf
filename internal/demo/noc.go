package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"time"

	"op25b/internal/api"
	"op25b/internal/client"
	"op25b/internal/clock"
	"op25b/internal/controller"
	"op25b/internal/intent"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// changeWithin limits how long the switch may take to converge after a change. It takes tens of milliseconds on an idle machine.
const changeWithin = time.Minute

// errSlow is the error for a change that took longer than changeWithin.
var errSlow = fmt.Errorf("the switch is not converged after %v", changeWithin)

// A noc runs a controller as op25b serve does, with its own temporary store, and a client that uses the controller's API as an
// operator does.
type noc struct {
	dir        string // the store's data directory
	controller *controller.Controller
	client     *client.Client
	now        func() time.Time
	revision   uint64 // the current revision

	stop  context.CancelFunc
	ended chan error // receives the error from Controller.Run
}

// openNOC starts a controller whose clock initially shows the time begins. It listens on the addresses of the options.
func openNOC(ctx context.Context, o Options, begins time.Time) (_ *noc, err error) {
	addr := cmp.Or(o.Listen, "127.0.0.1:0")
	shift := time.Until(begins)
	n := &noc{now: func() time.Time { return time.Now().Add(shift) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.dir, err = os.MkdirTemp("", "op25b-demo-"); err != nil {
		return nil, err
	}
	config := controller.Config{
		Name: "demo", Clock: clock.Source{Wall: n.now}, Listening: api.Listening{Addr: addr}, MaxDocuments: api.MaxFiles,
		GNMI: controller.GNMI{Addr: o.GNMI}, Web: api.Listening{Addr: o.Web}, History: controller.History{File: o.History},
		Providers: o.Providers, Leases: controller.Leases{Listening: api.Listening{Addr: "127.0.0.1:0"}},
	}
	config.Store.Dir, config.Store.Now = n.dir, n.now
	if n.controller, err = controller.Open(ctx, config); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // close calls stop after the last request
	n.stop, n.ended = stop, make(chan error, 1)
	go func() { n.ended <- n.controller.Run(running) }()
	n.client, err = client.New(client.Config{Server: n.controller.Addr().String()})
	return n, err
}

// close stops the controller and removes its store.
func (n *noc) close() error {
	var errs []error
	if n.client != nil {
		n.client.Close()
	}
	if n.stop != nil {
		n.stop()
		errs = append(errs, <-n.ended)
	}
	if n.controller != nil {
		errs = append(errs, n.controller.Close())
	}
	if n.dir != "" {
		errs = append(errs, os.RemoveAll(n.dir))
	}
	return errors.Join(errs...)
}

// apply stores the documents, as op25b apply does, and waits until the switch has converged.
func (n *noc) apply(ctx context.Context, files []strict.File) error {
	q := &op25bv1.ApplyRequest{Base: n.revision, Reason: "demo", RequestId: client.NewRequest()}
	for _, f := range files {
		q.Files = append(q.Files, &op25bv1.File{Name: f.Name, Data: f.Data})
	}
	return follow(ctx, n, n.client.Intent.Apply, q)
}

// activate puts a phase in force, as op25b phase activate does, and waits until the switch has converged.
func (n *noc) activate(ctx context.Context, phase string) error {
	return follow(ctx, n, n.client.Phase.Activate, &op25bv1.ActivateRequest{
		Phase: phase, Base: n.revision, Reason: "demo", RequestId: client.NewRequest(),
	})
}

// follow makes a change and waits until every switch has converged to it.
func follow[Q any](ctx context.Context, n *noc, call client.Stream[Q, op25bv1.Progress], q *Q) error {
	ctx, cancel := context.WithTimeoutCause(ctx, changeWithin, errSlow)
	defer cancel()
	var last *op25bv1.SwitchStatus
	var done *op25bv1.Done
	err := client.Follow(ctx, 0, call, q, func(p *op25bv1.Progress) error {
		if stored := p.GetStored(); stored != nil {
			n.revision = stored.Number
		}
		if s := p.GetSwitch(); s != nil {
			last = s
		}
		done = p.GetDone()
		return nil
	})
	switch {
	case err != nil && last != nil && errors.Is(context.Cause(ctx), errSlow):
		return fmt.Errorf("%w: %s is %v, %v: %s", errSlow, last.Switch, last.State, last.Reason, last.Detail)
	case err != nil:
		return err
	case len(done.GetFailed()) > 0:
		failed := done.Failed[0]
		return fmt.Errorf("switch %s has failed: %v: %s", failed.Switch, failed.Reason, failed.Detail)
	case done.GetConverged() == 0:
		return errors.New("the controller ended the change before the switch was converged")
	}
	return nil
}

// loggedIn reports a login over POP3 to the controller, as Dovecot does. The lease is in the store when it returns.
func (n *noc) loggedIn(ctx context.Context, client netip.Addr, tls bool) error {
	report, err := json.Marshal(map[string]any{
		"login": account, "remote": client, "protocol": "pop3", "success": true, "policy_reject": false, "tls": tls,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	url := fmt.Sprintf("http://%v/dovecot?command=report", n.controller.LeasesAddr())
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(report))
	if err != nil {
		return err
	}
	q.Close = true
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 1000)) // only for the message
		return fmt.Errorf("report of a login: %s: %s", r.Status, text)
	}
	return nil
}

// current returns the controller's current intent.
func (n *noc) current(ctx context.Context) (*intent.Intent, error) {
	return n.controller.Book().Current(ctx)
}
