package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// documents returns the worked example for the three switches, with an exemption that does not expire during the test. The phase
// that blocks nothing is removed.
func (p *plant) documents() []strict.File {
	p.t.Helper()
	files := examples.SpinNet2006()
	header, body, _ := strings.Cut(string(files[0].Data), "switches:\n")
	inventory := header + "switches:\n"
	for i, e := range p.switches {
		one := strings.NewReplacer("name: edge-1", "name: "+e.name, "deviceID: 1 ", fmt.Sprintf("deviceID: %d ", e.id), "127.0.0.1:9559", e.network.addr()).Replace(body)
		if i > 0 {
			for _, line := range []string{"adsl-home", "adsl-bot", "business-fixed", "mobile-sim"} {
				one = strings.ReplaceAll(one, "name: "+line, fmt.Sprintf("name: %s-%d", line, e.id))
			}
			one = strings.NewReplacer("192.0.2.", fmt.Sprintf("100.64.%d.", i), "2001:db8:1:", fmt.Sprintf("2001:db8:%x:", 0x100+i)).Replace(one)
		}
		inventory += one
	}
	text := string(files[1].Data)
	before, after := strings.Index(text, "  - name: before\n"), strings.Index(text, "  - name: mobile-carriers\n")
	if before < 0 || after < before {
		p.t.Fatal("the example has other phases")
	}
	text = text[:before] + text[after:]
	business := "exemptions:\n"
	for _, e := range p.switches[1:] {
		business += fmt.Sprintf("  - {line: business-fixed-%d, owner: noc, reason: fixed address, expires: 2099-03-31}\n", e.id)
	}
	exempt := strings.NewReplacer("expires: 2007-03-31", "expires: 2099-03-31", "review: 2006-12-31", "review: 2098-12-31").Replace(string(files[2].Data))
	exempt = strings.Replace(exempt, "exemptions:\n", business, 1)
	return []strict.File{
		{Name: files[0].Name, Data: []byte(inventory)}, {Name: files[1].Name, Data: []byte(text)}, {Name: files[2].Name, Data: []byte(exempt)},
	}
}

// edited returns copies of the documents in which the first occurrence of old is replaced by now.
func edited(files []strict.File, old, now string) []strict.File {
	var next []strict.File
	for _, f := range files {
		next = append(next, strict.File{Name: f.Name, Data: bytes.Replace(f.Data, []byte(old), []byte(now), 1)})
	}
	return next
}

// exempting returns the documents with exemptions of the n addresses that start at net.0.0.0.
func exempting(files []strict.File, net, n int) []strict.File {
	var all strings.Builder
	all.WriteString("exemptions:\n")
	for i := range n {
		fmt.Fprintf(&all, "  - {prefix: %d.%d.%d.%d/32, owner: noc, reason: fault test, expires: 2099-03-31}\n", net, i>>16, i>>8&0xff, i&0xff)
	}
	return edited(files, "exemptions:\n", all.String())
}

// put stores documents as the intent. It retries until the etcd cluster has formed.
func (p *plant) put(files []strict.File) *intent.Intent {
	p.t.Helper()
	return p.change(func(ctx context.Context, base uint64) (*intent.Intent, error) {
		proposal, err := p.book.Propose(ctx, files)
		if err != nil {
			return nil, err
		}
		return p.book.Put(ctx, proposal, intent.By{Who: "noc", Reason: "fault test"})
	})
}

// change changes the intent, and retries until the change succeeds.
func (p *plant) change(make func(ctx context.Context, base uint64) (*intent.Intent, error)) *intent.Intent {
	p.t.Helper()
	ctx := generous(p.t)
	for {
		base := uint64(0)
		in, err := p.book.Current(ctx)
		switch {
		case err == nil:
			base = in.Number
			fallthrough
		case errors.Is(err, intent.ErrNone):
			var next *intent.Intent
			if next, err = make(ctx, base); err == nil {
				return next
			}
			if errors.Is(err, store.ErrUnchanged) {
				return in
			}
		}
		again := errors.Is(err, store.ErrNoQuorum) || errors.Is(err, store.ErrReplaced) || errors.As(err, new(*store.StaleError))
		if !again || ctx.Err() != nil {
			p.t.Errorf("change of the intent: %v", err)
			return in
		}
	}
}

// current returns the newest intent. It retries until the etcd cluster has formed.
func (p *plant) current(ctx context.Context) (*intent.Intent, error) {
	for {
		in, err := p.book.Current(ctx)
		if !errors.Is(err, store.ErrNoQuorum) && !errors.Is(err, store.ErrReplaced) || ctx.Err() != nil {
			return in, err
		}
	}
}
