package mailbox

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// fullWidthAt is the full-width @ in Japanese input. Package idna maps other full-width letters and full stops, but not this one.
const fullWidthAt = "\uff20"

// domainOf returns the domain of a mail address in DNS form: in lower case, with internationalised labels encoded as xn--. The local
// part is discarded.
func domainOf(address string) (string, error) {
	fail := func(fault string) (string, error) {
		return "", fmt.Errorf("%w: %q: %s: give one as in user@example.jp", ErrAddress, masked(address), fault)
	}
	text := strings.ReplaceAll(strings.TrimSpace(address), fullWidthAt, "@")
	at := strings.LastIndexByte(text, '@')
	switch {
	case text == "":
		return fail("it is empty")
	case at < 0:
		return fail("it has no @")
	case at == 0:
		return fail("nothing stands before the @")
	case strings.ContainsAny(text, " \t\r\n<>,;"):
		return fail("there is more than one address, or more than an address")
	case strings.HasPrefix(text[at+1:], "["):
		return fail("a server's address stands in place of a domain, which says nothing of a provider")
	}
	domain, fault := domainName(text[at+1:])
	if fault != "" {
		return fail(fault)
	}
	if !strings.Contains(domain, ".") {
		return fail(fmt.Sprintf("%q is not a whole domain", domain))
	}
	return domain, nil
}

// masked returns an address without its local part, for error messages.
func masked(address string) string {
	text := strings.ReplaceAll(address, fullWidthAt, "@")
	if at := strings.LastIndexByte(text, '@'); at > 0 {
		return "..." + text[at:]
	}
	return text
}

// domainName returns a domain name in DNS form, or the reason why the name is invalid.
func domainName(name string) (ascii, fault string) {
	name = strings.TrimSuffix(strings.TrimSpace(name), ".")
	if name == "" {
		return "", "there is no domain"
	}
	if !utf8.ValidString(name) {
		return "", fmt.Sprintf("%q is not a domain's name", name)
	}
	ascii, err := idna.Lookup.ToASCII(name)
	ascii = strings.TrimSuffix(ascii, ".")
	if err != nil || ascii == "" || len(ascii) > 253 {
		return "", fmt.Sprintf("%q is not a domain's name", name)
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return "", fmt.Sprintf("%q is not a domain's name", name)
		}
	}
	return ascii, ""
}

// shown returns a domain name in Unicode.
func shown(domain string) string {
	if text, err := idna.Display.ToUnicode(domain); err == nil {
		return text
	}
	return domain
}
