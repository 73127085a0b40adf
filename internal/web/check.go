package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

type checkData struct {
	base
	Line, From, To, Port, Mail, When string
	Problem, Text                    string
}

// checkPage shows the support desk's form. After a question, it also shows the answer in the words of op25b
// check.
func (s *Site) checkPage(v *visit) error {
	v.Title, v.Section = v.T("check"), "check"
	d := checkData{base: v.base}
	if v.r.Method == http.MethodPost {
		if !v.session.allows(v.r) {
			return connect.NewError(connect.CodePermissionDenied, errOldForm)
		}
		field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
		d.Line, d.From, d.To, d.Port, d.Mail, d.When = field("line"), field("from"), field("to"), field("port"), field("mail"), field("at")
		ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
		defer cancel()
		text, err := v.answer(ctx, d)
		d.Text = text
		if e := (*connect.Error)(nil); errors.As(err, &e) && e.Code() != connect.CodeUnavailable {
			d.Problem = e.Message()
		} else if err != nil {
			return err
		}
	}
	v.render(http.StatusOK, "check.html", d)
	return nil
}

var errOldForm = errors.New("the form is too old: load the page again")

// answer sends the question to the pipeline and renders the answer.
func (v *visit) answer(ctx context.Context, d checkData) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
	}
	from := &op25bv1.CheckFrom{Line: d.Line}
	if d.From != "" {
		addr, err := netip.ParseAddr(d.From)
		if err != nil {
			return bad("address %q: must be an IPv4 or IPv6 address", d.From)
		}
		from.From = addr.String()
	}
	from.LocalAt = d.When
	var b bytes.Buffer
	table := view.Table(&b, view.Options{Now: v.site.cfg.Now, Location: v.Zone, Language: v.Lang})
	if d.Mail != "" {
		r, err := v.check.CheckMail(ctx, connect.NewRequest(&op25bv1.CheckMailRequest{From: from, Address: d.Mail, Language: v.Lang}))
		if err != nil {
			return "", err
		}
		err = table.Mail(r.Msg)
		return b.String(), err
	}
	port, err := strconv.ParseUint(d.Port, 10, 16)
	if err != nil || port == 0 {
		return bad("port %q: must be from 1 to 65535", d.Port)
	}
	r, err := v.check.Check(ctx, connect.NewRequest(&op25bv1.CheckRequest{From: from, To: d.To, Port: uint32(port), Trace: true}))
	if err != nil {
		return "", err
	}
	err = table.Check(r.Msg)
	return b.String(), err
}
