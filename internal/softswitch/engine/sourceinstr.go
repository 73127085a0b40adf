package engine

import (
	"fmt"
	"slices"
	"strings"
)

// needs notes the variables that the statement of an instr uses.
func (g *source) needs(in *instr, uses map[string]bool) {
	note := func(all ...string) {
		for _, v := range all {
			uses[v] = true
		}
	}
	switch in.op {
	case opConst, opMove, opMoveTwo, opMoveAll, opClear, opShape, opIfZero, opIfNotZero, opIfAllZero, opIfSomeOne, opIfEqConst, opIfNeConst, opIfLtConst,
		opIfGeConst, opIfEq, opIfNe, opIfLt, opIfGe, opSelectWord:
		note("s")
	case opArg:
		note("s", "args")
	case opEval:
		note("s", "c")
	case opLoad, opAdd, opSub, opSubFrom, opAnd, opOr, opXor, opStore, opAccEq, opAccNe, opAccLt, opAccGe, opAccGt, opAccLe:
		note("s", "acc")
	case opReshape, opOrConst, opAccEqConst, opAccNeConst, opAccLtConst, opAccGeConst:
		note("acc")
	case opCompute:
		note("acc", "c")
	case opIfTrue, opIfFalse, opCall, opTry, opSelect, opRun, opLock, opUnlock, opFailAs:
		note("c")
	case opFill:
		if note("c"); in.x.h.src >= 0 {
			note("s")
		}
	case opExtract:
		if in.x.h.in != nil {
			note("c")
		} else {
			note("s")
		}
	case opTable:
		if note("c"); g.keyed(in.x.table) {
			note("s")
		}
	case opJump:
		if in.c < 0 {
			note("back")
		}
	}
}

// shaped returns the Go expression of a word to which in's shape is applied.
func shaped(word string, in *instr) string {
	out := word
	if in.r&63 != 0 {
		out += fmt.Sprintf(">>%d", in.r&63)
	}
	if in.l&63 != 0 {
		out += fmt.Sprintf("<<%d", in.l&63)
	}
	if in.k != 0 {
		out += fmt.Sprintf(" + %#x", in.k)
	}
	if in.m == ^uint64(0) {
		return out
	}
	if in.k != 0 {
		out = "(" + out + ")"
	}
	return fmt.Sprintf("%s & %#x", out, in.m)
}

func masked(x string, m uint64) string {
	if m == ^uint64(0) {
		return x
	}
	if strings.ContainsAny(x, "+-") {
		x = "(" + x + ")"
	}
	return fmt.Sprintf("%s & %#x", x, m)
}

// comparisons are the Go operators of the instrs that compare and jump.
var comparisons = map[uint16]string{
	opIfEqConst: "==", opIfNeConst: "!=", opIfLtConst: "<", opIfGeConst: ">=", opIfEq: "==", opIfNe: "!=", opIfLt: "<", opIfGe: ">=",
	opAccEqConst: "==", opAccNeConst: "!=", opAccLtConst: "<", opAccGeConst: ">=", opAccEq: "==", opAccNe: "!=", opAccLt: "<", opAccGe: ">=",
	opAccGt: ">", opAccLe: "<=",
}

// statement writes the statement of an instr.
func (g *source) statement(code []instr, at int) {
	in := &code[at]
	jump := func(cond string, args ...any) {
		g.line("if %s { %s }", fmt.Sprintf(cond, args...), g.jump(code, at+1+int(in.c)))
	}
	switch in.op {
	case opConst:
		g.line("s[%d] = %#x", in.a, in.k)
	case opMove:
		g.line("s[%d] = %s", in.a, masked(fmt.Sprintf("s[%d]", in.b), in.m))
	case opMoveTwo:
		g.line("s[%d], s[%d] = %s, s[%d]", in.a, in.a+1, masked(fmt.Sprintf("s[%d]", in.b), in.m), in.b+1)
	case opMoveAll:
		g.line("copy(s[%d:%d], s[%d:%d])", in.a, int(in.a)+int(in.k), in.b, int(in.b)+int(in.k))
		if in.m != ^uint64(0) {
			g.line("s[%d] &= %#x", in.a, in.m)
		}
	case opClear:
		g.line("clear(s[%d:%d])", in.a, int(in.a)+int(in.k))
	case opShape:
		g.line("s[%d] = %s", in.a, shaped(fmt.Sprintf("s[%d]", in.b), in))
	case opArg:
		g.line("s[%d] = %s", in.a, masked(fmt.Sprintf("args[%d]", in.b), in.m))
	case opEval:
		g.line("s[%d] = %s", in.a, masked(fmt.Sprintf("c.Eval(%d, p)", at), in.m))
	case opLoad:
		g.line("acc = %s", shaped(fmt.Sprintf("s[%d]", in.b), in))
	case opCompute:
		g.line("acc = c.Eval(%d, p)", at)
	case opReshape:
		g.line("acc = %s", shaped("acc", in))
	case opAdd:
		g.line("acc = %s", masked(fmt.Sprintf("acc + s[%d]", in.b), in.m))
	case opSub:
		g.line("acc = %s", masked(fmt.Sprintf("acc - s[%d]", in.b), in.m))
	case opSubFrom:
		g.line("acc = %s", masked(fmt.Sprintf("s[%d] - acc", in.b), in.m))
	case opAnd, opOr, opXor:
		g.line("acc %s= s[%d]", map[uint16]string{opAnd: "&", opOr: "|", opXor: "^"}[in.op], in.b)
	case opOrConst:
		g.line("acc |= %#x", in.k)
	case opStore:
		g.line("s[%d] = %s", in.a, masked("acc", in.m))
	case opIfZero:
		jump("s[%d] == 0", in.b)
	case opIfNotZero:
		jump("s[%d] != 0", in.b)
	case opIfAllZero, opIfSomeOne:
		var words []string
		for i := range int32(in.k) {
			words = append(words, fmt.Sprintf("s[%d]", in.b+i))
		}
		jump("%s %s 0", strings.Join(words, "|"), map[uint16]string{opIfAllZero: "==", opIfSomeOne: "!="}[in.op])
	case opIfEqConst, opIfNeConst, opIfLtConst, opIfGeConst:
		jump("s[%d] %s %#x", in.b, comparisons[in.op], in.k)
	case opIfEq, opIfNe, opIfLt, opIfGe:
		jump("s[%d] %s s[%d]", in.b, comparisons[in.op], in.a)
	case opAccEqConst, opAccNeConst, opAccLtConst, opAccGeConst:
		jump("acc %s %#x", comparisons[in.op], in.k)
	case opAccEq, opAccNe, opAccLt, opAccGe, opAccGt, opAccLe:
		jump("acc %s s[%d]", comparisons[in.op], in.b)
	case opIfTrue:
		jump("c.Test(%d, p)", at)
	case opIfFalse:
		jump("!c.Test(%d, p)", at)
	case opGoto:
		g.line("%s", g.jump(code, at+1+int(in.c)))
	case opJump:
		if in.c < 0 {
			g.line("if back++; !p.Back(back) { return }")
		}
		g.line("%s", g.jump(code, at+1+int(in.c)))
	case opNext:
		g.line("%s", g.enter(int32(at+1+int(in.c))))
	case opSelectWord:
		g.selectWord(in.x.sel)
	case opSelect:
		g.line("switch c.Choose(%d, p) {", at)
		for _, next := range in.x.sel.nexts() {
			g.line("case %d: %s", next, g.enter(next))
		}
		g.line("default: return")
		g.line("}")
	case opTable:
		g.table(at, in.x.table)
	default:
		g.call(at, in)
	}
}

// call writes the statement of an instr that is mostly a call.
func (g *source) call(at int, in *instr) {
	switch in.op {
	case opCall:
		g.line("c.Call(%d, p)", at)
	case opTry:
		g.line("if !c.Try(%d, p) { return }", at)
	case opExtract:
		g.extract(at, in.x.h)
	case opFill:
		if src := in.x.h.src; src >= 0 {
			g.line("if s[%d] != 0 { c.Fill(%d, p) }", src, at)
		}
	case opFail:
		g.line("p.Fail(%#x)", in.k)
		g.line("return")
	case opFailAs:
		g.line("p.Fail(c.Eval(%d, p))", at)
		g.line("return")
	case opRun:
		g.line("c.Do(%d, p)", at)
	case opLock:
		g.line("c.Lock(%d)", at)
	case opUnlock:
		g.line("c.Unlock(%d)", at)
	case opExit:
		g.line("if p.Exited() { return }")
	default: // opEnd
		g.line("return")
	}
}

// jump returns the statement that continues at a position.
func (g *source) jump(code []instr, to int) string {
	if to >= len(code) {
		return "return"
	}
	return fmt.Sprintf("goto L%d", to)
}

// enter returns the statements that enter a parser state.
func (g *source) enter(next int32) string {
	if next == end {
		return "return"
	}
	return fmt.Sprintf("if !p.Enter() { return }; goto L%d", next)
}

// extract writes the extraction of a header without a variable field.
func (g *source) extract(at int, h *header) {
	if h.in != nil {
		g.line("if !c.Extract(%d, p) { return }", at)
		return
	}
	g.line("{")
	from := "from"
	if !h.typ.even {
		from = "_"
	}
	g.line("b, %s := p.Take(%d)", from, h.typ.bytes)
	g.line("if b == nil { return }")
	if h.typ.bytes > 0 && len(h.hotPack) > 0 {
		g.line("_ = b[%d]", h.typ.bytes-1)
	}
	for _, k := range h.hotPack {
		var sum []string
		for i := range k.n {
			x := fmt.Sprintf("uint64(b[%d])", k.off+i)
			if by := 8 * (k.n - 1 - i); by > 0 {
				x += fmt.Sprintf("<<%d", by)
			}
			sum = append(sum, x)
		}
		v := strings.Join(sum, " | ")
		if len(k.parts) > 1 {
			g.line("{")
			g.line("v := %s", v)
			v = "v"
		}
		for _, x := range k.parts {
			word := v
			if len(sum) > 1 && word != "v" {
				word = "(" + word + ")"
			}
			if x.right > 0 {
				word += fmt.Sprintf(">>%d", x.right)
			}
			if x.mask != ones(8*k.n-int(x.right)) {
				word += fmt.Sprintf("&%#x", x.mask)
			}
			if x.left > 0 {
				word += fmt.Sprintf("<<%d", x.left)
			}
			op := "="
			if x.join {
				op = "|="
			}
			g.line("s[%d] %s %s", h.base+x.slot, op, word)
		}
		if len(k.parts) > 1 {
			g.line("}")
		}
	}
	if h.typ.even {
		g.line("s[%d] = from", h.src)
	}
	g.line("s[%d] = 1", h.base)
	g.line("}")
}

// selectWord writes a selection whose key is one word.
func (g *source) selectWord(sel *selection) {
	v := fmt.Sprintf("s[%d]", sel.key[0].slot)
	for i := 1; i < len(sel.key); i++ {
		if i > 1 {
			v = "(" + v + ")"
		}
		v = fmt.Sprintf("%s<<%d | s[%d]", v, sel.key[i].width&63, sel.key[i].slot)
	}
	exact := true
	for i := range sel.cases {
		exact = exact && sel.cases[i].mask == ones(sel.width)
	}
	if exact {
		var seen []uint64
		g.line("switch %s {", v)
		for i := range sel.cases {
			if x := &sel.cases[i]; !slices.Contains(seen, x.value) {
				seen = append(seen, x.value)
				g.line("case %#x: %s", x.value, g.enter(x.next))
			}
		}
		g.line("default: %s", g.enter(sel.other))
		g.line("}")
		return
	}
	g.line("switch v := %s; {", v)
	for i := range sel.cases {
		x := &sel.cases[i]
		if x.mask == ones(sel.width) {
			g.line("case v == %#x: %s", x.value, g.enter(x.next))
		} else {
			g.line("case v & %#x == %#x: %s", x.mask, x.value, g.enter(x.next))
		}
	}
	g.line("default: %s", g.enter(sel.other))
	g.line("}")
}

// keyed reports whether generated code reads a table's key.
func (g *source) keyed(t *Table) bool {
	return len(t.build) > 0 && !slices.ContainsFunc(t.build, func(k keyPart) bool { return k.find != nil })
}

// table writes the application of a table, and the jump to the node that follows.
func (g *source) table(at int, t *Table) {
	next := fmt.Sprintf("c.Apply(%d, p)", at)
	g.line("{")
	if g.keyed(t) {
		g.key(at, t)
		next = fmt.Sprintf("c.Look(%d, p, key)", at)
	}
	g.line("next := %s", next)
	if slices.ContainsFunc(t.actions, func(a *action) bool { return a.exits }) {
		g.line("if p.Exited() { return }")
	}
	g.line("switch next {")
	for _, n := range g.nodes(t) {
		g.line("case %d: goto L%d", n, g.pr.entry[n])
	}
	g.line("default:")
	g.line("c.Follow(next, p)")
	g.line("return")
	g.line("}")
	g.line("}")
}

// key writes the reading of a table's key. A field of an invalid header counts as zero.
func (g *source) key(at int, t *Table) {
	g.line("key := c.Key(%d, p)", at)
	g.line("_ = key[%d]", t.words-1)
	word := 0
	for i := range t.build {
		k := &t.build[i]
		set := func(value func(w int) string) {
			for w := range k.words {
				g.line("key[%d] = %s", word+w, value(w))
			}
		}
		read := func(w int) string {
			x := fmt.Sprintf("s[%d]", k.slot+w)
			if t.masks != nil {
				return masked(x, t.masks[word+w])
			}
			return x
		}
		if k.valid < 0 {
			set(read)
		} else {
			g.line("if s[%d] != 0 {", k.valid)
			set(read)
			g.line("} else {")
			set(func(int) string { return "0" })
			g.line("}")
		}
		word += k.words
	}
}
