package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// errRefused is returned by commit when a guard does not hold.
var errRefused = errors.New("refused")

// A change is one transaction. If all guards hold, the operations in then are executed; otherwise, none of them is.
//
// If the answer of etcd is lost, the request is sent again, although the first attempt may have succeeded. In this case a guard fails in
// the second attempt. To detect this case, commit reads the witness. The witness is a key under which the operations in then put a value
// that no other writer uses.
type change struct {
	op      string
	gen     *Generation // generation in which the change was computed; nil means the current generation
	guards  []clientv3.Cmp
	then    []clientv3.Op
	witness string
	value   string   // unique value that the operations in then put under the witness
	read    []string // keys to read if a guard fails, to determine which guard failed
}

// commit makes the change and returns the revision of etcd at which it was made. If a guard does not hold, commit returns errRefused and
// the values of the keys in c.read.
//
// If the generation of the change has ended, commit returns ErrReplaced.
func (s *Store) commit(ctx context.Context, c change) (int64, map[string]*mvccpb.KeyValue, error) {
	g := c.gen
	if g == nil {
		g = s.Generation()
	}
	if _, err := g.identity(ctx, c.op); err != nil {
		return 0, nil, err
	}
	guards := append(c.guards[:len(c.guards):len(c.guards)], g.guard())
	var otherwise []clientv3.Op
	for _, key := range append([]string{c.witness, s.identityKey()}, c.read...) {
		if key != "" {
			otherwise = append(otherwise, clientv3.OpGet(key))
		}
	}
	attempts := 0
	resp, err := ask(ctx, s, c.op, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		attempts++
		return s.client.Txn(ctx).If(guards...).Then(c.then...).Else(otherwise...).Commit()
	})
	if err != nil {
		return 0, nil, err
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil, nil
	}
	found := keysOf(resp.Responses)
	if kv := found[c.witness]; kv != nil && attempts > 1 && string(kv.Value) == c.value {
		return kv.ModRevision, nil, nil
	}
	if g.refused(found) {
		return 0, nil, fmt.Errorf("%s: %w", c.op, g.Err())
	}
	return 0, found, errRefused
}

// get reads keys in one transaction. It returns the keys that exist, and the revision of etcd at which they were read.
func (s *Store) get(ctx context.Context, op string, keys ...string) (map[string]*mvccpb.KeyValue, int64, error) {
	gets := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		gets[i] = clientv3.OpGet(key)
	}
	resp, err := ask(ctx, s, op, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).Then(gets...).Commit()
	})
	if err != nil {
		return nil, 0, err
	}
	return keysOf(resp.Responses), resp.Header.Revision, nil
}

func keysOf(responses []*etcdserverpb.ResponseOp) map[string]*mvccpb.KeyValue {
	found := make(map[string]*mvccpb.KeyValue)
	for _, r := range responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			found[string(kv.Key)] = kv
		}
	}
	return found
}

// unmoved returns a guard that holds while key has not changed since kv was read. A nil kv means that the key did not exist when it was
// read.
func unmoved(key string, kv *mvccpb.KeyValue) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(key), "=", kv.GetModRevision())
}

// key returns the etcd key for a path in the store.
func (s *Store) key(path string) string { return s.cfg.Prefix + path }

// nonce returns a random value, which no other writer puts.
func nonce() string { return rand.Text() }

// encode returns v in the stored form: JSON on one line, in which the character < is not escaped.
func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
