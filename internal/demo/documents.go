package demo

import (
	"fmt"
	"path"
	"strconv"

	"go.yaml.in/yaml/v4"

	"op25b/internal/compile"

	"op25b/internal/strict"
)

// documents returns copies of the given documents in which the switch has the addresses of the rig, and its lines have the access that l
// requires. The given documents are not modified.
func (l Lines) documents(given []strict.File, rig Rig, switchName string) ([]strict.File, error) {
	files := make([]strict.File, len(given))
	found := false
	for i, f := range given {
		files[i] = strict.File{Name: path.Base(f.Name), Data: f.Data}
		var doc yaml.Node
		if err := yaml.Unmarshal(f.Data, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		sw := switchNode(&doc, switchName)
		if sw == nil {
			continue
		}
		found = true
		set(sw, "p4runtime", rig.P4Runtime)
		set(sw, "gnmi", rig.GNMI)
		if lines := member(sw, "lines"); lines != nil {
			for j, line := range lines.Content {
				switch l {
				case QinQ:
					set(line, "vlan", strconv.Itoa(firstOuterVLAN+j))
					set(line, "innerVLAN", strconv.Itoa(firstInnerVLAN+j))
				case PPPoE:
					set(line, "pppoe", strconv.Itoa(firstSession+j))
				}
			}
		}
		var err error
		if files[i].Data, err = yaml.Marshal(&doc); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if !found {
		return nil, fmt.Errorf("%w %q", compile.ErrUnknownSwitch, switchName)
	}
	return files, nil
}

// switchNode returns the entry of the named switch in an inventory, or nil if there is none.
func switchNode(doc *yaml.Node, name string) *yaml.Node {
	if len(doc.Content) == 0 {
		return nil
	}
	switches := member(doc.Content[0], "switches")
	if switches == nil {
		return nil
	}
	for _, sw := range switches.Content {
		if n := member(sw, "name"); n != nil && n.Value == name {
			return sw
		}
	}
	return nil
}

// member returns the value of a key in a mapping, or nil if the key is absent.
func member(mapping *yaml.Node, key string) *yaml.Node {
	if mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// set sets a key of a mapping to a scalar value.
func set(mapping *yaml.Node, key, value string) {
	if n := member(mapping, key); n != nil {
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "", value
		return
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &yaml.Node{Kind: yaml.ScalarNode, Value: value})
}
