package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// ErrNotGiven is returned by Archives.Join if the record of a known head is in an archive that was not read.
var ErrNotGiven = errors.New("in an archive that was not given")

// Archives is a set of verified archive files. Together they contain the audit records from number 1 on without a gap.
type Archives struct {
	infos []ArchiveInfo
	known []Head // known heads whose records are in none of the files
}

// ReadArchives reads archive files in any order, verifies them, and compares them with the known heads. It returns ErrArchive if a file is
// not a complete archive. It returns ErrBroken if the files do not form one chain or contradict a known head.
func ReadArchives(names []string, known []Head) (a Archives, err error) {
	found := make(map[uint64]string) // maps the number of each known head to the hash of its record; empty while the record was not found
	for _, k := range known {
		found[k.Seq] = ""
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return a, err
		}
		info, err := ReadArchive(f, func(r AuditRecord) error {
			if _, is := found[r.Seq]; is {
				found[r.Seq] = r.Hash
			}
			return nil
		})
		_ = f.Close()
		if err != nil {
			return a, fmt.Errorf("%s: %w", name, err)
		}
		a.infos = append(a.infos, info)
	}
	slices.SortFunc(a.infos, func(x, y ArchiveInfo) int { return int(x.First) - int(y.First) })
	last := ArchiveInfo{}
	for _, info := range a.infos {
		if info.First != last.Last+1 || info.Prev != last.Hash {
			return a, fmt.Errorf("archives: %w: record %d, the first of a file, does not follow record %d", ErrBroken, info.First, last.Last)
		}
		last = info
	}
	for _, k := range known {
		switch hash := found[k.Seq]; {
		case hash == "":
			a.known = append(a.known, k)
		case hash != k.Hash:
			return a, &BreakError{Seq: k.Seq, What: fmt.Sprintf("replaced: its hash is %.12s..., and was known as %.12s...", hash, k.Hash)}
		}
	}
	return a, nil
}

// last returns the last archive, or the zero ArchiveInfo if there are no archives.
func (a Archives) last() (info ArchiveInfo) {
	if len(a.infos) > 0 {
		info = a.infos[len(a.infos)-1]
	}
	return info
}

// Known returns the heads that must still be verified in the store: the known heads whose records are in none of the files, and the head of
// the last file.
func (a Archives) Known() []Head {
	known := slices.Clone(a.known)
	if last := a.last(); last.Last > 0 {
		known = append(known, Head{Seq: last.Last, Hash: last.Hash})
	}
	return known
}

// Join checks that the archives and the chain after the checkpoint cp form one chain, and that every known head was verified. It returns
// ErrBroken if the last file is not the archive that the checkpoint names, and ErrNotGiven if the record of a known head is in another
// archive. Any other error means that some records before the checkpoint are in none of the files.
func (a Archives) Join(cp Checkpoint) error {
	last := a.last()
	if last.Last > 0 && last.Last < cp.Seq {
		return fmt.Errorf("archives: records %d to %d are in none of the files", last.Last+1, cp.Seq)
	}
	if last.Last == cp.Seq && last.Last > 0 && (last.Hash != cp.Hash || last.Sum != cp.Archive) {
		return fmt.Errorf("archives: %w: the file that ends at record %d has the SHA-256 %s, and the archived file had %s", ErrBroken, last.Last, last.Sum, cp.Archive)
	}
	for _, k := range a.known {
		if k.Seq < cp.Seq {
			return fmt.Errorf("record %d is %w", k.Seq, ErrNotGiven)
		}
	}
	return nil
}
