// Package reconcile plans how a switch gets from the entries it has to the entries it should have, and carries out the plan.
//
// Planning is pure: no clock, no network, no logger. Apply does the I/O around it: read, plan, write step by step, read back.
// internal/pipeline defines the meaning of an entry.
//
// # Safe changes
//
// A packet is looked up in two stages. Large tables assign one number to it in each dimension: its line group, its service, and the
// classes of both addresses. Rules then decide by these numbers. One MODIFY of the running epoch, the flip, exchanges all rules at once,
// but entries of the large tables change one by one. If an entry changed at the wrong moment, parts of both policies would apply to a
// packet, with a verdict that neither policy has.
//
// So an entry's number changes at a moment when the change makes no difference:
//
//   - before the flip, if the old rules treat both numbers alike, for example a class that no rule names yet;
//   - after the flip, if the new rules treat both numbers alike;
//   - otherwise through an alias: before the flip the entry gets a third number, which the old rules treat as the old number and the new
//     rules as the new number. After the flip the entry gets the new number. The rules for aliases exist only during the change.
//
// Every packet is judged by the old policy until the flip and by the new policy after it, so I1 and I2 hold after every single update.
//
// No flip is needed if the rules stay the same and only one dimension changes: each packet is judged by its old number and then by its
// new one. The same holds for classes that rules only permit, such as exemptions and relays: they are added first and removed last.
package reconcile
