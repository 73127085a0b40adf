package site

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"op25b/internal/lang"
	"op25b/internal/policy"
)

// Security has what security.txt (RFC 9116) says.
type Security struct {
	// Contacts lists mailto:, https: and tel: addresses in order of preference (section 2.5.3).
	Contacts []string `yaml:"contacts"`
	// Confirmed is the day on which somebody last checked the contacts. They are valid for a year from it.
	Confirmed policy.Date `yaml:"confirmed"`
	// Policy and Encryption are https addresses of the disclosure policy and of a key (sections 2.5.7 and 2.5.4).
	Policy     string `yaml:"policy,omitempty"`
	Encryption string `yaml:"encryption,omitempty"`
}

// SecurityPath is the path of security.txt below the portal's host (RFC 9116 section 3).
const SecurityPath = "/.well-known/security.txt"

// Expires returns the moment from which security.txt is not to be used: a year after Confirmed, or after now if Confirmed is in the future.
// RFC 9116 section 2.5.5 recommends less than a year, so a day is taken off.
func (s *Security) Expires(now time.Time) time.Time {
	from := s.Confirmed.Start(0)
	if from.After(now) {
		from = now
	}
	return from.UTC().AddDate(1, 0, -1).Truncate(time.Second)
}

// SecurityTxt returns security.txt. The result depends on now only if the site file was confirmed in the future. It is also returned when it
// has expired: its readers then see that the contacts are out of date.
func (s *Site) SecurityTxt(now time.Time) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	for _, c := range s.Security.Contacts {
		line("Contact", c)
	}
	line("Expires", s.Security.Expires(now).Format(time.RFC3339))
	line("Encryption", s.Security.Encryption)
	line("Policy", s.Security.Policy)
	tags := make([]string, 0, len(lang.All()))
	for _, l := range lang.All() {
		tags = append(tags, string(l))
	}
	line("Preferred-Languages", strings.Join(tags, ", "))
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "https" { // section 2.5.2 allows no other scheme
		line("Canonical", (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: SecurityPath}).String())
	}
	return b.String()
}

// security checks what security.txt is made of. No value may have a line break, which would begin another field.
func (v *validator) security(s Security) {
	if len(s.Contacts) == 0 || len(s.Contacts) > maxList {
		v.fault("security.contacts", fmt.Sprintf("security has %d contacts", len(s.Contacts)), fmt.Sprintf("must be 1 to %d, such as mailto:security@isp.example", maxList))
	}
	for i, c := range s.Contacts {
		u, err := url.Parse(c)
		if err == nil && (u.Scheme == "https" && u.Host != "" || u.Scheme == "mailto" && strings.Contains(u.Opaque, "@") || u.Scheme == "tel" && u.Opaque != "") && !strings.Contains(c, " ") {
			continue
		}
		v.fault(fmt.Sprintf("security.contacts[%d]", i), fmt.Sprintf("security contact %q", c), "must begin with mailto:, https:// or tel:, as in mailto:security@isp.example")
	}
	for _, page := range []struct{ path, text string }{{"security.policy", s.Policy}, {"security.encryption", s.Encryption}} {
		if u, err := url.Parse(page.text); page.text != "" && (err != nil || u.Scheme != "https" || u.Host == "" || strings.Contains(page.text, " ")) {
			v.fault(page.path, fmt.Sprintf("%s is %q", page.path, page.text), "must be an address that begins with https://")
		}
	}
}
