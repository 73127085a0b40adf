package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"op25b/internal/auth"
	"op25b/internal/web"
	op25bv1 "op25b/proto/op25b/v1"
)

// A hostileAPI answers every call with a message in which each text is the same one. It stands for a store in which somebody managed to put
// this text everywhere: the title of the policy and of a phase, a rule, a group, the reason and the detail of a switch, the author and the
// reason of a revision, the owner of an exemption, and whatever is added later.
type hostileAPI struct{ text string }

func (h hostileAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	service, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	m := dynamicpb.NewMessage(d.(protoreflect.MethodDescriptor).Output())
	h.fill(m, 0)
	data, err := proto.Marshal(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/proto")
	_, _ = w.Write(data)
}

// fill sets every field of a message. Lists get two elements.
func (h hostileAPI) fill(m protoreflect.Message, depth int) {
	if depth > 6 {
		return
	}
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		m.Set(m.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOfInt64(1_165_000_000))
		return
	case "google.protobuf.Duration":
		m.Set(m.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOfInt64(90))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if o := f.ContainingOneof(); o != nil && m.WhichOneof(o) != nil {
			continue
		}
		value := func(at protoreflect.Value) protoreflect.Value {
			switch f.Kind() {
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(h.text)
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes([]byte(h.text))
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(true)
			case protoreflect.EnumKind:
				if f.Enum().Name() == "RolloutState" { // in another state, a rollout has no commands
					return protoreflect.ValueOfEnum(op25bv1.RolloutState_ROLLOUT_STATE_HELD.Number())
				}
				return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
			case protoreflect.DoubleKind:
				return protoreflect.ValueOfFloat64(0.5)
			case protoreflect.Uint32Kind:
				return protoreflect.ValueOfUint32(3)
			case protoreflect.Uint64Kind:
				return protoreflect.ValueOfUint64(3)
			case protoreflect.Int64Kind:
				return protoreflect.ValueOfInt64(3)
			case protoreflect.MessageKind:
				h.fill(at.Message(), depth+1)
				return at
			}
			panic(f.FullName() + " has a kind that this test does not know: " + protoreflect.FullName(f.Kind().String()))
		}
		switch {
		case f.IsMap():
			panic(f.FullName() + " is a map, which this test does not know")
		case f.IsList():
			list := m.Mutable(f).List()
			for range 2 {
				list.Append(value(list.NewElement()))
			}
		default:
			m.Set(f, value(m.NewField(f)))
		}
	}
}

// hostileTexts try to leave the place in which a page shows them.
var hostileTexts = []string{
	`<script>alert(1)</script>`, `</title></pre></textarea><script src=//evil.example></script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`,
	`javascript:alert(1)`, `//evil.example`, `https://evil.example/`, "\u202egnp.exe\u2066\u200b", "{{.CSRF}}", "a\r\nSet-Cookie: op25b=evil", "%0d%0aSet-Cookie:%20a=b", `\"}-->`, "x+y&lt;z",
}

// hostilePaths are the pages on which stored texts appear. The token TEXT stands for the text.
var hostilePaths = []string{"/", "/?wall", "/?q=TEXT&show=TEXT&owner=TEXT", "/exemptions", "/programme", "/changes", "/changes?who=TEXT&verb=TEXT", "/changes/3", "/switch/TEXT", "/switch/TEXT?range=TEXT", "/switch/TEXT?asked=hold", "/switch/TEXT/hold", "/switch/TEXT/release", "/rollout", "/rollout/pause", "/rollout/resume", "/rollout/abort", "/rollout/start", "/rollout/start?phase=TEXT", "/check", "/nowhere"}

// TestStoredTextsStayTexts verifies that no stored text becomes a part of a page's markup, of its links or of its headers, and that none moves or hides other text.
func TestStoredTextsStayTexts(t *testing.T) {
	for _, text := range hostileTexts {
		site, err := web.New(web.Config{API: hostileAPI{text}, Name: text, Identify: func(*http.Request) (auth.Caller, error) {
			return auth.Caller{Who: text, Role: auth.Admin}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(site)
		b := newBrowser(t, server.URL)
		check := func(path string, res *http.Response, page string) {
			t.Helper()
			for _, c := range res.Cookies() {
				if c.Name != "op25b" || c.Value == "evil" {
					t.Errorf("%q on %s: cookie %v", text, path, c)
				}
			}
			for _, bad := range markupFaults(page) {
				t.Errorf("%q on %s: %s", text, path, bad)
			}
		}
		var form map[string][]string
		for _, path := range hostilePaths {
			res, page := b.get(strings.ReplaceAll(path, "TEXT", escapedQuery(text)))
			check(path, res, page)
			if want := map[bool]int{true: http.StatusNotFound, false: http.StatusOK}[path == "/nowhere"]; res.StatusCode != want {
				t.Errorf("%q on %s: %d, want %d\n%s", text, path, res.StatusCode, want, page)
			}
			form = map[string][]string{"csrf": {csrf(page)}, "phase": {text}, "groups": {text}, "switches": {text}, "reason": {text}, "base": {"3"}, "shown": {"3"}, "request": {text}, "since": {"3"}, "accepts": {text}, "rings": {text}, "known": {text}, "ticket": {text}, "line": {text}, "to": {text}, "port": {"25"}, "next": {text}, "token": {text}}
		}
		for _, path := range []string{"/preview", "/change", "/verify", "/check", "/rollout/resume", "/rollout/start", "/switch/" + escapedQuery(text) + "/hold", "/switch/" + escapedQuery(text) + "/prove", "/signin"} {
			res, page := b.post(path, form)
			check("POST "+path, res, page)
		}
		server.Close()
	}
}

func escapedQuery(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
	}
	return b.String()
}

// tags are the elements that pages consist of.
var tags = []string{
	"html", "head", "meta", "title", "link", "script", "body", "a", "header", "p", "span", "nav", "ul", "li", "div", "form", "input", "button", "main", "h1", "h2", "h3", "h4", "section",
	"table", "thead", "tbody", "tr", "th", "td", "time", "strong", "ol", "dl", "dt", "dd", "br", "pre", "code", "footer", "label", "select", "option", "details", "summary", "figure", "figcaption", "datalist", "fieldset", "legend", "textarea",
	"svg", "desc", "g", "path", "rect", "line", "text", "polyline", "tspan", "circle",
}

// markupFaults returns what a page has beside the elements, attributes and links that the templates make.
func markupFaults(page string) (faults []string) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return []string{err.Error()}
	}
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			if i := strings.IndexFunc(n.Data, func(r rune) bool {
				return r != '\n' && r != '\t' && unicode.In(r, unicode.C, unicode.Other_Default_Ignorable_Code_Point)
			}); i >= 0 {
				faults = append(faults, "text that moves or hides other text: "+strings.TrimSpace(n.Data))
			}
		case html.CommentNode:
			faults = append(faults, "a comment: "+n.Data)
		case html.ElementNode:
			if !slices.Contains(tags, n.Data) {
				faults = append(faults, "an element "+n.Data)
			}
			src := ""
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc":
					faults = append(faults, "an attribute "+a.Key+" of "+n.Data)
				case a.Key == "href", a.Key == "src", a.Key == "action", a.Key == "formaction":
					src = a.Val
					local := strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "?")
					owner := a.Val == "https://evil.example/switch/https:%2F%2Fevil.example%2F" // the page that another controller has published
					if !local && !owner {
						faults = append(faults, "a link to "+a.Val)
					}
				}
			}
			if n.Data == "script" && (!strings.HasPrefix(src, "/assets/op25b.js?") || n.FirstChild != nil) {
				faults = append(faults, "a script "+src)
			}
		}
	}
	if strings.Contains(page, "ZgotmplZ") {
		faults = append(faults, "a value that html/template refuses")
	}
	return faults
}
