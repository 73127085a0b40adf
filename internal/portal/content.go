package portal

import (
	"op25b/internal/portal/guide"
	"op25b/internal/portal/lang"
	"op25b/internal/portal/notice"
	"op25b/internal/portal/site"
)

// Content is what the ISP says about itself and its services.
type Content struct {
	Site    *site.Site   // nil if the ISP has no site file
	Guide   *guide.Guide // nil means guide.Default
	Notices *notice.Book // nil if there are no notices
}

// complete fills in the defaults.
func (c *Content) complete() {
	if c.Guide == nil {
		c.Guide = guide.Default()
	}
}

// name returns the name of the ISP; empty if there is no site file.
func (c *Content) name(l lang.Language) string {
	if c.Site == nil {
		return ""
	}
	return c.Site.Name.In(l)
}
