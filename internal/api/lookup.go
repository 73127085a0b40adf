package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"connectrpc.com/connect"

	"op25b/internal/auth"
	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// A look-up of a line is a question of CheckService about a stored revision. The audit chain has a record of each look-up with the name of
// the line and the ticket. The record contains no address, server or mail address. For the same reason, the record of a refused look-up
// contains the kind of the error, but not its text.

const (
	// verbLookup is the verb of look-ups in audit records.
	verbLookup = "check"
	// maxTicket is the limit on the length of a ticket, in bytes.
	maxTicket = 64
	// lookupAgain is the time after which a caller with too many look-ups may try again.
	lookupAgain = 5 * time.Second
)

// answered answers a question with the given function. If the question is a look-up of a line, answered records it before it returns the
// answer or the error, so that nothing about a line is returned without a record. about is the subject of the question in the record.
func answered[T any](ctx context.Context, s checkService, about string, from *op25bv1.CheckFrom, answer func(*intent.Intent) (*T, error)) (*connect.Response[T], error) {
	in, err := s.asked(ctx, from)
	if err != nil {
		return nil, err
	}
	lookup := len(from.GetFiles()) == 0
	if lookup {
		if err := s.admitLookup(ctx); err != nil {
			return nil, err
		}
		err = checkTicket("from.ticket", from.GetTicket(), caller(ctx).By != auth.ByLoopback)
	}
	var m *T
	if err == nil {
		m, err = answer(in)
	}
	if lookup {
		if failed := s.recordLookup(ctx, in, about, from, err); failed != nil {
			return nil, failed
		}
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(m), nil
}

// admitLookup returns an error if the caller has made too many look-ups of lines.
func (s *server) admitLookup(ctx context.Context) error {
	if _, ok := s.lookups.tell(caller(ctx).Who); ok {
		return nil
	}
	e := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("too many look-ups of lines by %s: after %d look-ups, a caller may make %d a minute, and all callers together %d",
		caller(ctx).Who, lookupsAtOnce, lookupsAMinute, allLookupsAMinute))
	return retryAfter(e, lookupAgain)
}

// recordLookup adds a look-up to the audit chain. refusal is the error of the look-up, or nil.
func (s checkService) recordLookup(ctx context.Context, in *intent.Intent, about string, from *op25bv1.CheckFrom, refusal error) error {
	id := caller(ctx)
	r := store.AuditRecord{
		Who: id.Who, Role: string(id.Role), Verb: verbLookup, Object: s.subject(in, from), Detail: fmt.Sprintf("%s, revision %d", about, in.Number),
	}
	if checkTicket("from.ticket", from.GetTicket(), false) == nil {
		r.Reason = from.GetTicket()
	}
	switch {
	case errors.Is(refusal, desk.ErrDNS) || errors.Is(refusal, check.ErrResolve):
		r.Verb = "unanswered " + verbLookup // the caller was permitted to ask
	case refusal != nil:
		r.Verb = "refused " + verbLookup
	}
	if refusal != nil {
		r.Detail += ": " + kindOf(refusal)
	}
	if _, err := s.Store.Audit().Append(ctx, r); err != nil {
		return fmt.Errorf("the look-up could not be recorded in the audit chain, so it is not answered: %w", err)
	}
	return nil
}

// subject returns the name of the line in a question for the audit record. It is empty if the question identifies no line.
func (s checkService) subject(in *intent.Intent, from *op25bv1.CheckFrom) string {
	q, err := question(from, in.Bundle.Policy)
	if err != nil {
		return ""
	}
	switch line, sw, err := s.Deps.Check.Subject(sourceOf(in), q); {
	case err != nil:
		return ""
	case line == "":
		return "an unnamed line on " + sw
	default:
		return "line " + line
	}
}

// kindOf returns the kind of an error without the values in its text.
func kindOf(err error) string {
	for _, m := range meanings {
		if errors.Is(err, m.kind) {
			return m.kind.Error()
		}
	}
	return connect.CodeOf(err).String()
}

// errTicket is the kind of the errors about tickets.
var errTicket = errors.New("missing or invalid ticket")

func ticketFault(path, what, way string) error {
	return strict.Faults{{Path: path, What: what, Way: way, Kind: errTicket}}
}

// checkTicket returns an error if the ticket in the field path is invalid, or if it is required and missing. A ticket cannot contain an IP address or
// a mail address, because audit records do not contain those.
func checkTicket(path, ticket string, required bool) error {
	if ticket == "" {
		if required {
			return ticketFault(path, "a look-up of a line requires a ticket", "give the ticket, which the audit record keeps (--ticket)")
		}
		return nil
	}
	valid := len(ticket) <= maxTicket && !strings.ContainsFunc(ticket, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:/#", r)
	})
	if !valid {
		return ticketFault(path, "the ticket is invalid", fmt.Sprintf("must be at most %d bytes of letters, digits and the characters - _ . : / #", maxTicket))
	}
	for piece := range strings.FieldsFuncSeq(ticket, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF.:", r) }) {
		_, err := netip.ParseAddr(piece)
		if _, port := netip.ParseAddrPort(piece); err == nil || port == nil {
			return ticketFault(path, "the ticket contains an IP address", "give the number of the ticket, because audit records contain no addresses")
		}
	}
	return nil
}
