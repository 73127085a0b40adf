package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// fill DIR SIZE writes junk to the store of the controller that runs in data directory DIR, until the store has the given size. With "all"
// as SIZE, fill writes until etcd refuses writes. drain DIR deletes the junk.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill DIR SIZE|all")
	}
	all := args[1] == "all"
	var size byteSize
	if !all {
		ts.Check(size.Set(args[1]))
	}
	ctx, client, closed := etcdOf(ts, args[0])
	defer closed()
	const step = 64 << 10 // the space in the database for one piece of junk, including its key and the unused part of its last page
	junk := make([]byte, step-4<<10)
	n := 0
	put := func() error {
		_, _ = rand.Read(junk)
		n++
		_, err := client.Put(ctx, fmt.Sprintf("junk/%s/%d", args[1], n), string(junk))
		return err
	}
	for all {
		if err := put(); errors.Is(err, rpctypes.ErrNoSpace) {
			return
		} else {
			ts.Check(err)
		}
	}
	for {
		left := int64(size) - inUse(ctx, ts, client)
		if left <= 0 {
			return
		}
		for range (left + step - 1) / step {
			ts.Check(put())
		}
	}
}

// inUse returns the current size of etcd's contents. etcd reports the size at its last commit, and a busy host delays commits. The
// reported size also includes pages that the last two transactions freed, such as copies of the last junk. inUse therefore makes a small
// change and takes a snapshot, which forces a commit, several times.
func inUse(ctx context.Context, ts *testscript.TestScript, client *clientv3.Client) int64 {
	for range 4 {
		_, err := client.Put(ctx, "junk/settle", "")
		ts.Check(err)
		snapshot, err := client.Snapshot(ctx)
		ts.Check(err)
		_, err = io.Copy(io.Discard, snapshot)
		ts.Check(err)
		ts.Check(snapshot.Close())
	}
	status, err := client.Status(ctx, client.Endpoints()[0])
	ts.Check(err)
	return status.DbSizeInUse
}

func drain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: drain DIR")
	}
	ctx, client, closed := etcdOf(ts, args[0])
	defer closed()
	_, err := client.Delete(ctx, "junk/", clientv3.WithPrefix())
	ts.Check(err)
}

// etcdOf returns a client for the embedded etcd of the controller that runs in a data directory.
func etcdOf(ts *testscript.TestScript, dir string) (context.Context, *clientv3.Client, func()) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + ts.MkAbs(dir) + "/socket"}, Logger: zap.NewNop()})
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	return ctx, client, func() { cancel(); _ = client.Close() }
}

// get URL prints a page that a controller serves. With !, the page's status must not be 200.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: get URL")
	}
	answer, err := http.Get(args[0])
	ts.Check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if (answer.StatusCode == http.StatusOK) == neg {
		ts.Fatalf("%s: status %d: %s", args[0], answer.StatusCode, body)
	}
	_, _ = ts.Stdout().Write(body)
}
