package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/auth"
	op25bv1 "op25b/proto/op25b/v1"
)

// change performs the activation or rollback that a preview has shown, and then shows the overview, which follows the switches. The API
// refuses the change if something has changed since the preview.
func (s *Site) change(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := changeData{
		Phase: v.r.PostFormValue("phase"), Groups: v.r.PostFormValue("groups"), Switches: v.r.PostFormValue("switches"),
		Reason: strings.TrimSpace(v.r.PostFormValue("reason")), Request: v.r.PostFormValue("request"),
	}
	revision, err := strconv.ParseUint(v.r.PostFormValue("base"), 10, 64)
	shown, err2 := strconv.ParseInt(v.r.PostFormValue("shown"), 10, 64)
	if err != nil || err2 != nil {
		return connect.NewError(connect.CodeInvalidArgument, errOldForm)
	}
	if d.Reason == "" {
		d.Problem = v.T("reason needed")
		return s.showPreview(v, d, http.StatusBadRequest)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	var stream *connect.ServerStreamForClient[op25bv1.Progress]
	if d.Phase == "" {
		stream, err = v.phase.Rollback(ctx, connect.NewRequest(&op25bv1.RollbackRequest{
			Groups: fields(d.Groups), Switches: fields(d.Switches), Base: revision, Reason: d.Reason, NoWait: true, RequestId: d.Request,
			Shown: timestamppb.New(time.Unix(0, shown)),
		}))
	} else {
		stream, err = v.phase.Activate(ctx, connect.NewRequest(&op25bv1.ActivateRequest{
			Phase: d.Phase, Groups: fields(d.Groups), Switches: fields(d.Switches), Base: revision, Reason: d.Reason, NoWait: true, RequestId: d.Request,
		}))
	}
	stored := false
	if err == nil {
		for stream.Receive() {
			stored = stored || stream.Msg().GetStored() != nil
		}
		err = stream.Err()
		_ = stream.Close()
	}
	if stored || err == nil {
		http.Redirect(v.w, v.r, "/", http.StatusSeeOther)
		return nil
	}
	return v.outcome(err)
}

// outcome returns the error of a change. Some errors do not say whether the change was made.
func (b base) outcome(err error) error {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeUnknown:
		return connect.NewError(connect.CodeUnavailable, translated{b.T("outcome unknown"), err})
	}
	return err
}

// mayNot returns the error for a person who may not change anything.
func (b base) mayNot() error {
	return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s has the role %s; this requires the role operator", b.Who, b.Role))
}

// MayOperate reports whether the person may activate phases.
func (b base) MayOperate() bool { return auth.Role(b.Role).May(auth.Operator) }
