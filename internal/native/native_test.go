package native

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"testing"

	"op25b/e2e/longform"
	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/engine/nativetest"
)

func program(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../../p4src/build/op25b.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCurrent verifies that the generated code is that of the committed program and of the present engine.
func TestCurrent(t *testing.T) {
	e, err := engine.Load(program(t), engine.Options{Native: []*engine.Native{Native}})
	if err != nil {
		t.Fatal(err)
	}
	if !e.IsNative() {
		t.Error("the generated code is not used: go generate ./internal/native")
	}
	want, err := e.Source(program(t), "native", "internal/native/generate from op25b.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("native_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("native_gen.go is not current: go generate ./internal/native")
	}
}

// frames are TCP segments to port 25 in every access form: IPv4, IPv6, one tag, two tags, PPPoE, IPv4 with options and fragments, IPv6 with extension
// headers, one IP in the other, ARP, and packets that are cut short.
func frames(t testing.TB) (all [][]byte) {
	t.Helper()
	const (
		macs  = "020000000001020000000002"
		tcp   = "80000019000000010000000050 02ffff00000000"
		v4    = "0800 45000028000100004006a6cd0a000001c0000201"
		plain = "0000000000000000000000000000000000000000000000000000000000000000"
		v6    = "86dd 60000000001406400102030405060708090a0b0c0d0e0f1020010db8000000000000000000000001"
	)
	for _, x := range []string{
		macs + v4 + tcp, macs + v6 + tcp,
		macs + "81000064" + v4 + tcp, macs + "88a8000181000064" + v6 + tcp, macs + "8100000181000064" + v4 + tcp,
		macs + "8864 1100 002a 002a 0021" + v4[5:] + tcp, macs + "8864 1100 002a 003e 0057" + v6[5:] + tcp,
		macs + "81000064 8864 1100 002a 002a 0021" + v4[5:] + tcp,
		macs + "0800 46000030000100004006000000000001c000020101010101" + tcp,  // an option
		macs + "0800 45000028000120b94006000000000001c0000201" + tcp,          // a later fragment
		macs + "0800 45000014000120004006000000000001c0000201",                // a first fragment without ports
		macs + "86dd 6000000000240040" + plain + "0600010400000000" + tcp,     // hop by hop
		macs + "86dd 60000000002c2c40" + plain + "0600000000000001" + tcp,     // a fragment header
		macs + "86dd 6000000000280440" + plain + v4[5:] + tcp,                 // 4in6
		macs + "0800 450000500001000040290000c0000202c0000203" + v6[5:] + tcp, // 6in4
		macs + "0806" + plain, macs + v4[:25], macs, "ff",
		"000000000000000000000000 0000 0001 00000000" + macs + v4 + tcp, // perhaps a packet-out
	} {
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(x), []byte(" "), nil)))
		if err != nil {
			t.Fatalf("%s: %v", x, err)
		}
		all = append(all, b)
	}
	return all
}

// TestSameAsInterpreter processes random frames under random entries by the generated code and by the interpreter.
func TestSameAsInterpreter(t *testing.T) {
	n := 20_000
	switch {
	case longform.On():
		n = 2_000_000
	case testing.Short(): // with the race detector, which a comparison does not need
		n = 2_000
	}
	c, err := nativetest.Compare(program(t), Native, frames(t), n, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.Sent < n/20 || c.Entries == 0 || c.Digests == 0 && !testing.Short() {
		t.Errorf("little was compared: %+v", c)
	}
	t.Logf("%+v", c)
}

// FuzzSameAsInterpreter does the same with frames that the fuzzer makes.
func FuzzSameAsInterpreter(f *testing.F) {
	p := program(f)
	for _, b := range frames(f) {
		f.Add(b, uint64(1))
	}
	f.Fuzz(func(t *testing.T, frame []byte, seed uint64) {
		if len(frame) == 0 {
			return
		}
		if _, err := nativetest.Compare(p, Native, [][]byte{frame}, 20, seed); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWrongCodeIsFound verifies that the comparison finds code that differs in one action.
func TestWrongCodeIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped under -short: it has one goroutine")
	}
	var at []int
	for i, f := range Native.Actions {
		if f != nil {
			at = append(at, i)
		}
	}
	found := 0
	for i := range at {
		one := *Native
		one.Actions = slices.Clone(Native.Actions)
		one.Actions[at[i]] = func(*engine.Packet) {}
		if _, err := nativetest.Compare(program(t), &one, frames(t), 4000, 1); err != nil {
			found++
		}
	}
	if found < len(at)*2/3 {
		t.Errorf("%d of %d wrong actions were found", found, len(at))
	}
	t.Logf("%d of %d", found, len(at))
}
