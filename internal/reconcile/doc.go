// Package reconcile plans and carries out the updates that bring a switch to a desired state.
//
// Planning is pure: it does no I/O, reads no clock and logs nothing. Apply performs the I/O: it reads the switch, plans, writes step by
// step, and reads the switch back. Package pipeline defines the meaning of the entries.
//
// # Safe changes
//
// The pipeline classifies a packet in two stages. First, large tables assign it one number in each dimension: its line group, its
// service, and the classes of both addresses. Then the rules decide by these numbers. One MODIFY of the running epoch, the flip,
// exchanges all rules at once, but the entries of the large tables change one by one. If an entry changed at the wrong moment, a packet
// could be subject to parts of both policies and get a verdict that neither policy has.
//
// An entry's number therefore changes at a moment when the change makes no difference:
//
//   - before the flip, if the old rules treat both numbers alike, for example because no rule names the new class yet;
//   - after the flip, if the new rules treat both numbers alike;
//   - otherwise through an alias. Before the flip the entry gets a third number, which the old rules treat as the old number and the new
//     rules as the new number. After the flip the entry gets the new number. The rules for aliases exist only during the change.
//
// The old policy thus applies to every packet until the flip, and the new policy after it, so I1 and I2 hold after every single update.
//
// No flip is needed if the rules stay the same and only one dimension changes. Each packet then has its old number first and its new
// number afterwards. Nor is a flip needed for classes that the rules only permit, such as exemptions and relays. Such classes are added
// first and removed last.
//
// A switch that forwards nothing yet, such as one that has just received the program, begins to forward after everything else. The pipeline itself
// fails closed for port 25 only, so that a service that a phase closes would otherwise pass before the rules are there.
package reconcile
