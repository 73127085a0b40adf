package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A Member is a controller that is present.
type Member struct {
	Name  string
	Value string // text that the member publishes, such as its address
}

// A Presence keeps a member present until the member leaves or the store is closed. If the lease is lost, the presence gets a new lease.
type Presence struct {
	s      *Store
	member Member
	stop   context.CancelFunc
	done   chan struct{}
	lease  *lease // lease of the last put; only the method stay uses it until done is closed
}

// Join makes a member present and replaces an earlier presence of the same name. So a controller that restarts after a crash need not wait
// until its earlier presence expires.
func (s *Store) Join(ctx context.Context, name, value string) (*Presence, error) {
	if err := checkName("member", name); err != nil {
		return nil, err
	}
	if len(value) > MaxRecord {
		return nil, fmt.Errorf("%w: value of member %q has %d bytes: must be at most %d", ErrInvalid, name, len(value), MaxRecord)
	}
	p := &Presence{s: s, member: Member{Name: name, Value: value}, done: make(chan struct{})}
	l, err := p.put(ctx)
	if err != nil {
		if p.lease != nil {
			s.settle(p.lease, p.leave)
		}
		return nil, err
	}
	var life context.Context
	life, p.stop = s.within(context.Background())
	if !s.start(func() { p.stay(life, l) }) {
		p.stop()
		return nil, fmt.Errorf("join: %w", ErrClosed)
	}
	return p, nil
}

// stay restores the presence whenever the lease is lost.
func (p *Presence) stay(ctx context.Context, l *lease) {
	defer close(p.done)
	defer p.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.life.Done():
		}
		for {
			next, err := p.put(ctx)
			if err == nil {
				l = next
				break
			}
			p.s.log.Debug("not present", zap.String("member", p.member.Name), zap.Error(err))
			if !Pause(ctx, followPause) {
				return
			}
		}
	}
}

func (p *Presence) put(ctx context.Context) (*lease, error) {
	l, err := p.s.current(ctx)
	if err != nil {
		return nil, err
	}
	p.lease = l
	_, err = ask(ctx, p.s, "join", func(ctx context.Context) (*clientv3.PutResponse, error) {
		return p.s.client.Put(ctx, p.key(), p.member.Value, clientv3.WithLease(l.id))
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (p *Presence) key() string { return p.s.key("member/" + p.member.Name) }

// Leave ends the presence. If Leave returns an error, the presence ends as soon as etcd answers again.
func (p *Presence) Leave(ctx context.Context) error {
	p.stop()
	<-p.done
	err := p.leave(ctx)
	if err != nil {
		p.s.settle(p.lease, p.leave)
	}
	return err
}

func (p *Presence) leave(ctx context.Context) error {
	_, _, err := p.s.commit(ctx, change{
		op:     "leave",
		guards: []clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(p.key()), "=", p.lease.id)}, // prevents the deletion of a presence that has replaced this one
		then:   []clientv3.Op{clientv3.OpDelete(p.key())},
	})
	if errors.Is(err, errRefused) {
		return nil
	}
	return err
}

// Members returns the present members, ordered by name.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	resp, err := ask(ctx, s, "list members", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, s.key("member/"), clientv3.WithPrefix())
	})
	if err != nil {
		return nil, err
	}
	all := make([]Member, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		all[i] = Member{Name: strings.TrimPrefix(string(kv.Key), s.key("member/")), Value: string(kv.Value)}
	}
	return all, nil
}

// WatchMembers sends the present members, and sends them again after every change. A slow receiver gets only the newest list. The channel
// is closed when ctx ends or the store is closed.
func (s *Store) WatchMembers(ctx context.Context) <-chan []Member {
	box := &memberBox{prefix: s.key("member/"), there: make(map[string]string)}
	return deliver(s, s.follow(ctx, box.prefix), mailbox[[]Member](box))
}

type memberBox struct {
	prefix string
	there  map[string]string
	begun  bool
}

func (b *memberBox) merge(u update) bool {
	before := maps.Clone(b.there)
	if u.whole {
		clear(b.there)
	}
	for _, kv := range u.kvs {
		b.there[strings.TrimPrefix(string(kv.Key), b.prefix)] = string(kv.Value)
	}
	for key := range u.gone {
		delete(b.there, strings.TrimPrefix(key, b.prefix))
	}
	news := !b.begun || !maps.Equal(before, b.there)
	b.begun = true
	return news
}

func (b *memberBox) value() []Member {
	all := make([]Member, 0, len(b.there))
	for _, name := range slices.Sorted(maps.Keys(b.there)) {
		all = append(all, Member{Name: name, Value: b.there[name]})
	}
	return all
}

func (b *memberBox) sent() {}
