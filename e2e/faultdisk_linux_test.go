package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"op25b/internal/intent"
)

// A disk is a separate file system that a test fills and frees.
type disk struct {
	t   testing.TB
	dir string
}

// diskSize is large enough for a long run of a plant. The tmpfs uses memory only for stored data.
const diskSize = 4 << 30

// mountDisk creates a directory and mounts a disk there until the test ends. If the process may not mount a file system, mountDisk returns
// nil and the reason.
func mountDisk(t testing.TB, dir string) (*disk, string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize)); err != nil {
		return nil, fmt.Sprintf("a tmpfs cannot be mounted (%v): run the test as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return &disk{t: t, dir: dir}, ""
}

// fill shrinks the file system to the size of its contents, so that no free page remains.
func (d *disk) fill() {
	d.t.Helper()
	for {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(d.dir, &fs); err != nil {
			d.t.Fatal(err)
		}
		err := d.resize((int64(fs.Blocks) - int64(fs.Bfree)) * fs.Bsize)
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EINVAL) { // EINVAL means that more data has been stored in the meantime
			d.t.Fatal(err)
		}
	}
}

// free restores the size of the disk.
func (d *disk) free() {
	d.t.Helper()
	if err := d.resize(diskSize); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) resize(size int64) error {
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("tmpfs of %d bytes: %w", size, err)
	}
	return nil
}

// fullDisk fills the disk of etcd's members until a member ends because of it. Each member that ends is restarted, as by a supervisor.
// fullDisk verifies that, once there is room, the members continue and have all stored revisions.
func (r *round) fullDisk() {
	var from []int
	for _, m := range r.members {
		from = append(from, m.said.end())
	}
	r.disk.fill()
	stored := r.newest()
	for n := 500; !r.anyEnded(); n += 100 { // each change is larger than the previous one, because otherwise freed pages could suffice
		ctx, cancel := context.WithTimeout(generous(r.t), 5*time.Second)
		proposal, err := r.book.Propose(ctx, r.exempting(n))
		if err == nil {
			var in *intent.Intent
			if in, err = r.book.Put(ctx, proposal, intent.By{Who: "noc", Reason: "the disk is full"}); err == nil {
				stored = in
			}
		}
		cancel()
		if n > 20_000 {
			r.t.Fatalf("the disk is full, and all members go on; the last change: %v", err)
		}
	}
	for _, e := range r.switches {
		if err := e.stream.resume(generous(r.t)); err != nil {
			r.t.Fatalf("%s with a full disk: %v", e.name, err)
		}
	}
	r.disk.free()
	for i, m := range r.members {
		m.supervised = true // the member may be about to end
		said := strings.Contains(m.said.tail(m.said.end()-from[i]), "no space left on device")
		if said {
			<-m.process.done
		}
		if m.ended() {
			if !said {
				r.t.Errorf("%s ended on a full disk and does not say so", m.name)
			}
			m.start()
		}
	}
	r.settled()
	if in := r.newest(); in.Number < stored.Number || in.Number == stored.Number && in.ID != stored.ID {
		r.t.Errorf("revision %d (%s) was stored on a full disk, and the newest is %d (%s)", stored.Number, stored.ID, in.Number, in.ID)
	}
	for _, m := range r.members {
		m.supervised = false
	}
}

func (r *round) anyEnded() bool {
	for _, m := range r.members {
		if m.ended() {
			return true
		}
	}
	return false
}
