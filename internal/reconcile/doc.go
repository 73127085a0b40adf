// Package reconcile works out how a switch gets from the entries it has to the entries it should have, and takes it there.
//
// The plan is pure: no clock, no network, no logger. Apply is the rim around it: read, plan, write step by step, read back. Neither knows
// what an entry means; pipeline does.
//
// # How a change harms nobody
//
// What happens to a packet is looked up in two stages. Large tables give it numbers, one in each dimension: of its line group, its
// service, and the classes of both its addresses. Rules then decide by these numbers. One MODIFY of the running epoch exchanges all rules at
// once, but entries of the large tables change one by one. If they changed under rules that are not made for it, a packet could be judged by
// half of the old policy and half of the new, and so as neither of the two judges it.
//
// So an entry whose number changes is changed at a moment when that makes no difference:
//
//   - before the flip, if the old rules treat the new number as they treat the old one: a class that no rule named yet, say;
//   - after it, if the new rules treat the old number as they treat the new one;
//   - otherwise it is given an alias before the flip, a number of its own that the old rules treat as the old number and the new rules as
//     the new number, and after the flip it is given the new number. The rules for aliases are there only meanwhile.
//
// Until the flip every packet is judged by the old policy and after it by the new one, so after every single update I1 and I2 hold.
//
// Where the rules stay as they are and only one dimension changes there is no flip: each packet is judged by its old number and the rules,
// and then by its new one. The same is true of classes that rules only ever permit, such as exemptions and relays: they are added first and
// removed last.
package reconcile
