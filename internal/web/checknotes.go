package web

import (
	"regexp"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// The notes of an answer that the page puts in its own words. The API has them only in English.
var (
	noteUnnamed   = regexp.MustCompile(`^no line of the inventory has (\S+): it is an unnamed line on switch "(.*)", and `)
	noteAddress   = regexp.MustCompile(`^(\S+) is not one of the addresses that line "(.*)" has in the inventory$`)
	noteNoAddress = regexp.MustCompile(`^line "(.*)" has no address in the inventory: the answer is for the example address (\S+), because `)
	noteDNS       = regexp.MustCompile(`^our DNS could not be asked about "(.*)": .* and (\S+) stands for it`)
	noteLease     = regexp.MustCompile(`^with lease "(.*)" the connection passes: a POP3 or IMAP login( inside TLS)? opens it to .* for (\S+), and further logins for at most (\S+)$`)
	noteSkipped   = regexp.MustCompile(`^(\S+) was skipped: .* has no address of that family$`)
)

// notes returns what an answer assumes or leaves out, except the note that the page shows as a notice. A note that the page does not know is shown
// as the API has written it.
func (b base) notes(r *op25bv1.CheckResponse) []said {
	var all []said
	for _, text := range r.Notes {
		switch m := func(re *regexp.Regexp) []string { return re.FindStringSubmatch(text) }; {
		case text == view.Unconfirmed(r.Seen):
		case m(noteUnnamed) != nil:
			all = append(all, b.said(b.T("note unnamed", m(noteUnnamed)[1], m(noteUnnamed)[2]), ""))
		case m(noteAddress) != nil:
			all = append(all, b.said(b.T("note address", m(noteAddress)[1], m(noteAddress)[2]), ""))
		case m(noteNoAddress) != nil:
			all = append(all, b.said(b.T("note no address", m(noteNoAddress)[1], m(noteNoAddress)[2]), ""))
		case m(noteDNS) != nil:
			all = append(all, b.said(b.T("note dns", m(noteDNS)[1], m(noteDNS)[2]), ""))
		case m(noteLease) != nil:
			x := m(noteLease)
			words := b.T("note lease", x[1], x[3], x[4])
			if x[2] != "" {
				words = b.T("note lease TLS", x[1], x[3], x[4])
			}
			all = append(all, b.said(words, ""))
		case m(noteSkipped) != nil:
			all = append(all, b.said(b.T("note skipped", m(noteSkipped)[1]), ""))
		default:
			all = append(all, b.foreign(text))
		}
	}
	return all
}
