package vectors

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// head is the text before a vector in the tests.
const head = "phase all\nname home = 02:00:00:00:01:01\naxis form ; tags\n  plain ;\n  vlan ; | tag 8100 100\n"

// file returns a file with one vector that has the given frame and result.
func file(frame, want string) string {
	return head + "vector a : title\n  in 1 " + frame + "\n  -> " + want + "\n"
}

// exempting returns a file with one vector that begins with the given line.
func exempting(line string) string {
	return head + "vector a : title\n  " + line + "\n  in 1 eth home>home type=1\n  -> drop\n"
}

func TestFaultsNameThePlaceTheValueAndWhatIsValid(t *testing.T) {
	const eth = "eth home>02:00:00:00:02:01 "
	for _, test := range []struct{ what, text, want string }{
		{"keyword", "vectro a : b\n", `f.txt:1:1: "vectro" begins a block; valid are phase, name, axis, vector and evasion`},
		{"indented first", "  in 1\n", "f.txt:1:3: an indented line stands before any block; it belongs below a phase, name, axis, vector or evasion"},
		{"body of a name", "name a = 1\n  b\n", "f.txt:2:3: nothing can stand indented here; only phase, axis, vector and evasion have lines of their own"},
		{"no phase", "vector a : b\n", "f.txt:1:8: a vector stands before any phase; say which rules the switch has: phase NAME"},
		{"name", "name home 1\n", `f.txt:1:6: name "home 1": it wants WORD = VALUE, where the value is one MAC address, IP address or number`},
		{"name twice", "name a = 1\nname a = 2\n", `f.txt:2:6: name "a" is there twice; the first is at f.txt:1:10`},
		{"axis twice", "axis a\n  x\naxis a\n  x\n", `f.txt:3:6: axis "a" is there twice; the first is at f.txt:1:6`},
		{"axis name", "axis A\n", `f.txt:1:6: axis or column name "A"; it wants small letters, digits and _`},
		{"axis row", "axis a ; b\n  x\n", "f.txt:2:3: a row of 1 cells; axis a has the columns a ; b"},
		{"axis empty", "axis a\n", `f.txt:1:6: axis "a" has no rows`},
		{"title", head + "vector a\n", `f.txt:6:9: vector "a" has no title; it wants ID ... : what it shows`},
		{"id", head + "vector each form : b\n", "f.txt:6:8: a vector without an id; it wants ID ... : what it shows"},
		{"head", head + "vector a b : c\n", `f.txt:6:10: "b" in the head of vector "a"; valid are twin=ID, samesecond and each AXIS`},
		{"twin", head + "evasion a : b\n", `f.txt:6:9: evasion "a" has no twin; name the vector that looks like it and must pass: twin=ID`},
		{"unknown twin", strings.Replace(file(eth+"type=1", "drop"), "vector a", "evasion a twin=b", 1), `f.txt:6:9: the twin of vector "a" is "b", which no file has`},
		{"axis unknown", head + "vector a each frm : b\n", `f.txt:6:15: unknown axis "frm"; valid are form, or NAME={VALUE,VALUE}`},
		{"alternatives", head + "vector a each form=plain : b\n", `f.txt:6:20: alternatives "plain"; they want the form NAME={VALUE,VALUE} without spaces`},
		{"row", head + "vector a each form={qinq} : b\n", `f.txt:6:21: axis form has no row "qinq"; valid are plain, vlan`},
		{"two columns", head + "vector a each form tags={1} : b\n", `f.txt:6:20: axes form and tags both have a column "tags"; $tags would be either's`},
		{"variable", head + "vector a each form : b $x\n", "f.txt:6:24: unknown value $x; valid here are form, tags"},
		{"endless", "phase p\naxis a ; b\n  x ; $b\nvector v each a : $b\n", `"$b" never ends: its values stand for each other`},
		{"no frame", head + "vector a : b\n", `f.txt:6:8: vector "a" has no frame: in PORT FRAME, and below it what comes of it: -> ...`},
		{"no outcome", head + "vector a : b\n  in 1 eth home>home type=1\n", "f.txt:7:3: nothing follows this frame; say what comes of it: -> drop, or -> PORTS: FRAME"},
		{"in", head + "vector a : b\n  out 1 x\n  -> drop\n", `f.txt:7:3: "out" where a frame should come in; it wants: in PORT FRAME`},
		{"arrow", head + "vector a : b\n  in 1 eth home>home type=1\n  drop\n", `f.txt:8:3: "drop" where it should say what comes of the frame; it wants: -> drop, or -> PORTS: FRAME`},
		{"port", head + "vector a : b\n  in 511 eth home>home type=1\n  -> drop\n", `f.txt:7:6: port "511"; it wants a number from 1 to 510`},
		{"outcome", file("eth home>home type=1", "pass"), `f.txt:8:6: "pass" comes of the frame; valid are drop, PORTS: same and PORTS: FRAME`},
		{"order of ports", file("eth home>home type=1", "12,11: same"), "f.txt:8:6: ports 12,11; they stand in ascending order, each once"},
		{"counted", file("eth home>home type=1", "drop ; rul=a"), `f.txt:8:13: "rul=a" is not counted; valid are rule=, leg=, line=, outcome= and unsolicited`},
		{"leg", file("eth home>home type=1", "drop ; leg=up"), `f.txt:8:17: leg "up"; valid are up_dst, up_src, down_src and down_dst`},
		{"line outcome", file("eth home>home type=1", "drop ; outcome=died"), `f.txt:8:21: outcome "died"; valid are passed, monitored and stopped`},
		{"half counted", file("eth home>home type=1", "drop ; rule=a"), "f.txt:8:13: \"rule=a\": a rule, a line and an outcome go together"},
		{"twice", file("eth home>home type=1", "drop") + "vector a : again\n  in 1 eth home>home type=1\n  -> drop\n", `f.txt:9:8: vector "a" is there twice; the first is at f.txt:6:8`},

		{"exempt nothing", file("eth home>home type=1", "drop\n  exempt ::/8\n  -> drop"), `f.txt:9:3: "exempt" where a frame should come in; it wants: in PORT FRAME`},
		{"no prefix", exempting("exempt"), "f.txt:7:3: an exemption of nothing; it wants: exempt PREFIX [line=NAME] [until=SECOND]"},
		{"host bits", exempting("exempt 192.0.2.1/24"), `f.txt:7:10: prefix "192.0.2.1/24"; it wants a prefix without host bits such as 192.0.2.0/24`},
		{"exemption's word", exempting("exempt 192.0.2.0/24 til=1"), `f.txt:7:23: "til=1" of an exemption; valid are line=NAME and until=SECOND`},
		{"no lease's prefix", exempting("lease"), "f.txt:7:3: a lease of nothing; it wants: lease PREFIX of=NAME [line=NAME] [until=SECOND]"},
		{"no lease's name", exempting("lease ::/8"), "f.txt:7:3: a lease without a name; it wants: lease PREFIX of=NAME [line=NAME] [until=SECOND]"},
		{"lease's word", exempting("lease ::/8 name=a"), `f.txt:7:14: "name=a" of a lease; valid are of=NAME, line=NAME and until=SECOND`},
		{"exemption's lease", exempting("exempt ::/8 of=a"), `f.txt:7:15: "of=a" of an exemption; valid are line=NAME and until=SECOND`},
		{"phase's line", "phase p\n  in 1 raw 0x00\n", `f.txt:2:3: "in" below a phase; valid are: exempt PREFIX [line=NAME] [until=SECOND], and: lease PREFIX of=NAME [line=NAME] [until=SECOND]`},
		{"until", exempting("exempt 192.0.2.0/24 until=268435456"), `f.txt:7:29: clock second "268435456"; it wants a number from 0 to 268435455`},
		{"at", exempting("at noon"), `f.txt:7:6: clock second "noon"; it wants a number from 0 to 268435455`},
		{"at nothing", head + "vector a : title\n  at 5\n", "f.txt:7:3: no frame follows this second; it wants: in PORT FRAME"},
		{"late clock", file("eth home>home type=1", "drop\n  at 5\n  in 1 eth home>home type=1\n  -> drop"), "f.txt:9:3: the clock is set for this frame and not for the first"},

		{"first layer", file("tag 8100 1", "drop"), `f.txt:7:8: the frame begins with "tag"; its first layer is eth, or raw`},
		{"layer", file(eth+"| ipx", "drop"), `f.txt:7:37: unknown layer "ipx"; a layer is one of ` + layerKinds},
		{"nothing between", file(eth+"| | data 1", "drop"), "f.txt:7:37: there is nothing between two |; a layer is one of " + layerKinds},
		{"station", file("eth hom>home type=1", "drop"), `f.txt:7:12: station "hom" of layer eth: it wants a MAC address such as 02:00:00:00:01:01, or a name of one`},
		{"stations", file("eth home type=1", "drop"), `f.txt:7:12: "home" of layer eth: it wants stations SRC>DST`},
		{"no stations", file("eth type=1", "drop"), `f.txt:7:8: layer eth has no stations SRC>DST`},
		{"family", file(eth+"| ip4 2001:db8::1>192.0.2.1 | tcp 1>2 S", "drop"), `f.txt:7:41: address "2001:db8::1" of layer ip4: it wants an IPv4 address such as 192.0.2.1, or a name of one`},
		{"family 6", file(eth+"| ip6 ::>home | tcp 1>2 S", "drop"), `f.txt:7:44: address "home" of layer ip6: it wants an IPv6 address such as 2001:db8::1, or a name of one`},
		{"number", file(eth+"| ip4 0.0.0.0>0.0.0.0 ttl=256 | tcp 1>2 S", "drop"), `f.txt:7:61: ttl "256" of layer ip4: it wants a number from 0 to 255`},
		{"field", file(eth+"| pppoe 1 leng=4 | ip4 0.0.0.0>0.0.0.0 | tcp 1>2 S", "drop"), `f.txt:7:50: layer pppoe has no "leng="; it knows code=, len=, only=, proto=, short, type=, ver=`},
		{"flag", file(eth+"| ip6 ::>:: mf | tcp 1>2 S", "drop"), `f.txt:7:47: layer ip6 has no "mf"; it knows flow=, hop=, len=, next=, only=, tc=, ver=`},
		{"field twice", file(eth+"| ip6 ::>:: hop=1 hop=2 | tcp 1>2 S", "drop"), "f.txt:7:53: hop of layer ip6 is there twice; keep one"},
		{"TPID", file(eth+"| tag 8200 1 | data 1", "drop"), `f.txt:7:41: TPID "8200": valid are 8100, 88a8, 9100`},
		{"protocol", file(eth+"| ip4 0.0.0.0>0.0.0.0 | data 1", "drop"), "f.txt:7:37: layer ip4 does not know the number of what is in it, layer data: give proto=, or one of " + oneOf(ipProtocols)},
		{"protocol of nothing", file("eth home>home", "drop"), "f.txt:7:8: layer eth does not know the number of what is in it, nothing: give type=, or one of arp, ip4, ip6, pppoe"},
		{"option", file(eth+"| ip4 0.0.0.0>0.0.0.0 opts=lsr | tcp 1>2 S", "drop"), `f.txt:7:62: IPv4 option "lsr": valid are eol, lsrr, nop, ra, rr, ssrr, ts, or bytes such as 0x0101`},
		{"options", file(eth+"| ip4 0.0.0.0>0.0.0.0 opts=nop*40,nop | tcp 1>2 S", "drop"), "f.txt:7:62: IPv4 options of 44 bytes; a header has room for 40"},
		{"flags", file(eth+"| ip4 0.0.0.0>0.0.0.0 | tcp 1>2 X", "drop"), `f.txt:7:67: TCP flags "X": they are some of S A F R P U E C, or - for none`},
		{"extension size", file(eth+"| ip6 ::>:: | dstopt size=9 | tcp 1>2 S", "drop"), "f.txt:7:49: layer dstopt has size 9; it wants a multiple of 8"},
		{"AH size", file(eth+"| ip6 ::>:: | ah size=9 | tcp 1>2 S", "drop"), "f.txt:7:49: layer ah has size 9; it wants a multiple of 4, 8 or more"},
		{"TCP size", file(eth+"| ip6 ::>:: | tcp 1>2 S size=64", "drop"), `f.txt:7:64: size "64" of layer tcp: it wants a number from 0 to 60`},
		{"bytes", file("raw 0x0", "drop"), `f.txt:7:12: bytes "0x0" of layer raw: they want an even number of hexadecimal digits, such as 0x00ff`},
		{"cut", file("raw 0x00 | cut 2", "drop"), "f.txt:7:23: cut 2: the frame has no more than 1 bytes"},
		{"behind pad", file("raw 0x00 | pad 2 | data 1", "drop"), "f.txt:7:27: layer data stands behind pad or cut; they end a frame"},
		{"in an axis", "phase p\naxis a ; tags\n  x ; | tag 8200 1\nvector v each a : t\n  in 1 eth 02:00:00:00:00:01>02:00:00:00:00:02 $tags type=1\n  -> drop\n", `f.txt:3:13: TPID "8200": valid are 8100, 88a8, 9100`},
	} {
		_, err := Read(fstest.MapFS{"f.txt": {Data: []byte(test.text)}})
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v\nwant %s", test.what, err, test.want)
		}
	}
}

// TestASecondLastsUntilTheNext verifies that the clock of a vector's steps is read together with its exemptions.
func TestASecondLastsUntilTheNext(t *testing.T) {
	text := head + "vector a : t\n  exempt 192.0.2.0/24 until=7 line=l\n  exempt ::/8\n  at 5\n  in 1 eth home>home type=1\n  -> drop\n" +
		"  in 1 eth home>home type=2\n  -> drop\n  at 0\n  in 1 eth home>home type=3\n  -> drop\n"
	all, err := Read(fstest.MapFS{"f.txt": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	v := all[0]
	if len(v.Steps) != 3 || !v.Timed || v.Steps[0].Second != 5 || v.Steps[1].Second != 5 || v.Steps[2].Second != 0 {
		t.Errorf("timed %t, steps %+v; want the seconds 5, 5, 0", v.Timed, v.Steps)
	}
	want := []Subscriber{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Line: "l", Until: 7}, {Prefix: netip.MustParsePrefix("::/8")}}
	if !slices.Equal(v.Subscribers, want) {
		t.Errorf("entries %v, want %v", v.Subscribers, want)
	}
}

// TestEntriesOfAPhaseAreForItsVectors verifies that the entries below a phase are for all vectors up to the next phase, before their own.
func TestEntriesOfAPhaseAreForItsVectors(t *testing.T) {
	const frame = "  in 1 raw 0x00\n  -> drop\n"
	text := "phase p\n  exempt ::/8\n  lease 192.0.2.0/24 of=pop line=l until=7\nvector a : t\n" + frame + "vector b : t\n  lease 192.0.3.0/24 of=imap\n" + frame +
		"phase p\nvector c : t\n" + frame
	all, err := Read(fstest.MapFS{"f.txt": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	exempt, lease := Subscriber{Prefix: netip.MustParsePrefix("::/8")}, Subscriber{netip.MustParsePrefix("192.0.2.0/24"), "pop", "l", 7}
	own := Subscriber{Prefix: netip.MustParsePrefix("192.0.3.0/24"), Lease: "imap"}
	for i, want := range [][]Subscriber{{exempt, lease}, {exempt, lease, own}, nil} {
		if got := all[i].Subscribers; !slices.Equal(got, want) {
			t.Errorf("vector %s has the entries %v, want %v", all[i].ID, got, want)
		}
	}
}

func TestAnAxisExpandsToEachCombination(t *testing.T) {
	text := head + "vector a-$form-$port each form port={25,587} : $form and $port\n  in 1 eth home>home $tags | ip4 192.0.2.1>192.0.2.2\n     | tcp 1>$port S\n  -> 11: same\n"
	all, err := Read(fstest.MapFS{"f.txt": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, v := range all {
		ids = append(ids, v.ID)
	}
	if got, want := strings.Join(ids, " "), "a-plain-25 a-plain-587 a-vlan-25 a-vlan-587"; got != want {
		t.Fatalf("ids %s, want %s", got, want)
	}
	if got, want := len(all[2].Steps[0].Frame), 14+4+20+20; got != want {
		t.Errorf("the frame in a VLAN has %d bytes, want %d", got, want)
	}
	if got, want := all[3].Title, "vlan and 587"; got != want {
		t.Errorf("title %q, want %q", got, want)
	}
}

func TestAnAxisLeavesOutRows(t *testing.T) {
	text := head + "vector a-$form each form!={plain} : t\n  in 1 eth home>home type=1\n  -> drop\n"
	all, err := Read(fstest.MapFS{"f.txt": {Data: []byte(text)}})
	if err != nil || len(all) != 1 || all[0].ID != "a-vlan" {
		t.Errorf("%v, %v; want a-vlan alone", all, err)
	}
}

func TestSharedNamesAreKnownInAllFiles(t *testing.T) {
	all, err := Read(fstest.MapFS{
		"a.txt":    {Data: []byte("phase all\nvector a : t\n  in 1 eth home>home type=1\n  -> drop\n")},
		SharedFile: {Data: []byte("name home = 02:00:00:00:01:01\n")},
	})
	if err != nil || len(all) != 1 || all[0].Theme != "a" {
		t.Errorf("%v, %v; want the vector a", all, err)
	}
}
