package web

import (
	"net/url"

	op25bv1 "op25b/proto/op25b/v1"
)

// elsewhereData says which controller collects the counters of a switch. No controller makes a call on behalf of a caller, so the page leads
// to the page of the owner, where the person signs in.
type elsewhereData struct {
	Text    string
	Link    string // the switch on the owner's page; empty if that is not known
	Command string // the command that asks the owner; empty if there is none
}

func (b base) ownerOf(c *op25bv1.SwitchCounters) *elsewhereData {
	if c.Owner == "" {
		return &elsewhereData{Text: b.T("collected by nobody")}
	}
	d := &elsewhereData{Text: b.T("collected elsewhere", c.Owner)}
	if u, err := url.Parse(c.OwnerPage); err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http") {
		d.Link = u.Scheme + "://" + u.Host + "/switch/" + url.PathEscape(c.Switch)
	}
	if c.OwnerAddress != "" {
		d.Command = "op25b counters --switch " + c.Switch + " --server " + c.OwnerAddress
	}
	return d
}
