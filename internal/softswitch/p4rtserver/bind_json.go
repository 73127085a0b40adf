package p4rtserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A deviceConfig holds the parts of the JSON that bind needs and that the engine does not expose: the fields of digests and the header
// types for packet I/O.
type deviceConfig struct {
	HeaderTypes []struct {
		Name   string  `json:"name"`
		Fields [][]any `json:"fields"` // name, width, ...
	} `json:"header_types"`
	Headers []struct {
		Name       string `json:"name"`
		HeaderType string `json:"header_type"`
	} `json:"headers"`
	LearnLists []learnList `json:"learn_lists"`
}

type learnList struct {
	Name     string `json:"name"`
	Elements []struct {
		Type     string          `json:"type"`
		Value    json.RawMessage `json:"value"`
		BitWidth int             `json:"bitwidth"`
	} `json:"elements"`
}

// typeFields returns the names and widths of the fields of a header type, without p4c's padding.
func (c *deviceConfig) typeFields(name string) (names []string, widths []int) {
	for _, t := range c.HeaderTypes {
		if t.Name != name {
			continue
		}
		for _, f := range t.Fields {
			if len(f) < 2 {
				continue
			}
			n, _ := f[0].(string)
			w, _ := f[1].(float64)
			if !strings.HasPrefix(n, "_padding") {
				names, widths = append(names, n), append(widths, int(w))
			}
		}
	}
	return names, widths
}

// fieldWidth returns the width of a header's field, or 0 if the JSON has no such field.
func (c *deviceConfig) fieldWidth(header, field string) int {
	for _, h := range c.Headers {
		if h.Name != header {
			continue
		}
		names, widths := c.typeFields(h.HeaderType)
		if i := slices.Index(names, field); i >= 0 {
			return widths[i]
		}
	}
	return 0
}

// bindConfig checks digests and packet I/O headers against the JSON of the program.
func (s *schema) bindConfig(raw []byte) error {
	var c deviceConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("p4_device_config: %w", err)
	}
	if err := s.bindDigests(&c); err != nil {
		return err
	}
	if err := s.packetIn.bind("packet_in", &c); err != nil {
		return err
	}
	return s.packetOut.bind("packet_out", &c)
}

// bindDigests finds the learn list of every digest by name. If a digest is a tuple, p4c gives it different names in the P4Info and in the
// JSON. Such digests are matched with the learn lists of tuples that no other digest has claimed, in the order of the JSON.
func (s *schema) bindDigests(c *deviceConfig) error {
	claimed := make([]bool, len(c.LearnLists))
	var rest []*digest
	have := make([]string, len(c.LearnLists))
	for i, l := range c.LearnLists {
		have[i] = l.Name
	}
	for _, d := range ordered(s.digests) {
		i := slices.Index(have, d.name)
		if i < 0 {
			rest = append(rest, d)
			continue
		}
		claimed[i] = true
		if err := d.fits(c, &c.LearnLists[i]); err != nil {
			return err
		}
	}
	for _, d := range rest {
		i := 0
		for i < len(have) && (claimed[i] || !strings.HasPrefix(have[i], "tuple_")) {
			i++
		}
		if i == len(have) {
			return absent("digest", d.name, have)
		}
		claimed[i] = true
		if err := d.fits(c, &c.LearnLists[i]); err != nil {
			return err
		}
	}
	return nil
}

// fits checks that the fields of a digest agree with the fields of a learn list.
func (d *digest) fits(c *deviceConfig, l *learnList) error {
	d.learn = l.Name
	want := d.data.widths()
	if len(want) != len(l.Elements) {
		return fmt.Errorf("digest %q: %d fields in the P4Info, %d in the JSON", d.name, len(want), len(l.Elements))
	}
	for i, e := range l.Elements {
		width := e.BitWidth
		var path [2]string
		if e.Type == "field" && json.Unmarshal(e.Value, &path) == nil {
			width = c.fieldWidth(path[0], path[1])
		}
		// If the JSON has no width, the engine determines the width and truncates nothing.
		if width != 0 && width != want[i] {
			return fmt.Errorf("digest %q: field %d: %d bits in the P4Info, %d in the JSON", d.name, i, want[i], width)
		}
	}
	return nil
}

// bind checks a controller header against the program's header types. The P4Info does not name the header type, so bind finds the type that
// has the same field names. If there is no such type, the header is not checked, because p4c omits unused header types.
func (h *packetHeader) bind(name string, c *deviceConfig) error {
	if h == nil {
		return nil
	}
	var names []string
	var widths []int
	for _, f := range h.fields {
		names, widths = append(names, f.name), append(widths, f.width)
	}
	var differs string
	for _, t := range c.HeaderTypes {
		n, w := c.typeFields(t.Name)
		if !slices.Equal(n, names) {
			continue
		}
		if slices.Equal(w, widths) {
			return nil
		}
		differs = fmt.Sprintf("%s: %s in the P4Info, %s in the JSON's header type %q", name, bitsOf(widths), bitsOf(w), t.Name)
	}
	if differs != "" {
		return fmt.Errorf("%s", differs)
	}
	return nil
}
