package view

// An OwnLineFault is the reason why the outcome of a connection from a visitor's line is not known.
type OwnLineFault int

// The reasons.
const (
	NoLookUp   OwnLineFault = iota // the server's name could not be looked up for now
	NoFamily                       // the line and the server have no address family in common
	NoPhaseYet                     // no phase of the policy has begun
)

var ownLineProblems = map[OwnLineFault]struct{ en, ja string }{
	NoLookUp:   {"The server's name could not be looked up. Please try again in a few minutes.", "サーバー名を調べることができませんでした。数分後にもう一度お試しください。"},
	NoFamily:   {"The server has only IPv4 addresses or only IPv6 addresses, and your line has none of that kind.", "このサーバーのアドレスは IPv4 または IPv6 の一方だけで、お使いの回線にはその種類のアドレスがありません。"},
	NoPhaseYet: {"The policy has not begun yet.", "ポリシーはまだ始まっていません。"},
}

// OwnLineProblem describes a fault in a sentence for a customer. The language is "ja" for Japanese; any other value means English.
func OwnLineProblem(language string, f OwnLineFault) string {
	if language == "ja" {
		return ownLineProblems[f].ja
	}
	return ownLineProblems[f].en
}
