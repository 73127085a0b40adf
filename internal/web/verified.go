package web

import (
	"sync"
	"time"

	op25bv1 "op25b/proto/op25b/v1"
)

// A verification is the result of a verification of the audit chain, as it was seen.
type verification struct {
	at          time.Time // before the chain was read
	who         string
	first, last uint64 // the first and the last record that were read; 0 if the chain was changed
	hash        string // of the last record
	brokenAt    uint64 // the first wrong record; 0 if the chain was intact
	broken      string // what is wrong with it
}

// An unmatched head is one that somebody entered and that the chain does not have. Either it was entered wrongly, or the chain was rewritten.
type unmatched struct {
	at  time.Time
	who string
	seq uint64
}

// verified holds the last verification that somebody made from a page of this controller. A view of the page would otherwise have to read the
// whole chain.
type verified struct {
	mu   sync.Mutex // guards the fields below
	last *verification
	odd  *unmatched // the last head that did not match; nil after a later one matched
}

func (v *verified) newest() (*verification, *unmatched) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, v.odd
}

// noteHead keeps a head that the chain does not have, until a later one matches. x is nil if the head matched.
func (v *verified) noteHead(x *unmatched) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.odd = x
}

// note keeps a verification, unless a later one is known.
func (v *verified) note(x *verification) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last == nil || !x.at.Before(v.last.at) {
		v.last = x
	}
}

// verificationOf returns the result of a verification of the chain itself. Whether the chain has a head that the person gave does not count,
// because the head can be mistyped.
func verificationOf(who string, at time.Time, r *op25bv1.VerifyResponse) *verification {
	if r.Intact {
		return &verification{at: at, who: who, first: r.Checkpoint.GetSeq() + 1, last: r.Head.GetSeq(), hash: r.Head.GetHash()}
	}
	return &verification{at: at, who: who, brokenAt: r.BrokenAt, broken: r.Broken}
}

// A verifiedData describes the last verification next to the head that the chain has now.
type verifiedData struct {
	Text said
	More string
	Odd  string // that a head did not match; may be empty
	Bad  bool
}

// verified describes a verification and a head that did not match. Both may be nil. It claims nothing about records that were not verified.
func (b base) verified(x *verification, odd *unmatched, head *op25bv1.AuditHead) verifiedData {
	d := b.verifiedRecords(x, head)
	if odd != nil {
		d.Odd = b.T("odd head", b.At(odd.at), odd.who, odd.seq)
	}
	return d
}

func (b base) verifiedRecords(x *verification, head *op25bv1.AuditHead) verifiedData {
	switch {
	case x == nil:
		return verifiedData{Text: b.said(b.T("not verified"), "")}
	case x.brokenAt > 0:
		return verifiedData{Text: b.said(b.T("broken when", b.At(x.at), x.who, x.brokenAt), x.broken), Bad: true}
	}
	d := verifiedData{Text: b.said(b.T("intact when", b.At(x.at), x.who, x.first, x.last), "")}
	switch now := head.GetSeq(); {
	case now < x.last, now == x.last && head.GetHash() != x.hash:
		d.More, d.Bad = b.T("verified otherwise", x.last), true
	case now == x.last:
		d.More = b.T("none unverified")
	case now == x.last+1:
		d.More = b.T("one unverified", now)
	default:
		d.More = b.T("some unverified", x.last+1, now)
	}
	return d
}
