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

// fill DIR SIZE puts junk into the store of a controller that runs on a data directory, behind its back, until the store is as large; with
// "all" until etcd takes no more. drain DIR deletes it again.
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
	junk := make([]byte, 64<<10)
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
		time.Sleep(300 * time.Millisecond) // etcd counts ten times a second
		status, err := client.Status(ctx, client.Endpoints()[0])
		ts.Check(err)
		left := int64(size) - status.DbSizeInUse
		if left <= 0 {
			return
		}
		for range left/int64(len(junk)) + 1 {
			ts.Check(put())
		}
	}
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

// etcdOf is a client of the etcd that a controller has in its data directory.
func etcdOf(ts *testscript.TestScript, dir string) (context.Context, *clientv3.Client, func()) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + ts.MkAbs(dir) + "/socket"}, Logger: zap.NewNop()})
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	return ctx, client, func() { cancel(); _ = client.Close() }
}

// get URL prints what a page of a controller says; with ! it must not be 200.
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
