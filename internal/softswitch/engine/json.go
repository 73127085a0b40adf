package engine

import (
	"encoding/json"
	"fmt"
)

// The types below mirror the JSON that p4c-bm2-ss writes (format 2.x). They contain only the members that the engine reads, and no pragmas.

type jsonProgram struct {
	Meta struct {
		Version  []int  `json:"version"`
		Compiler string `json:"compiler"`
	} `json:"__meta__"`
	HeaderTypes       []jsonHeaderType  `json:"header_types"`
	Headers           []jsonHeader      `json:"headers"`
	HeaderStacks      []jsonStack       `json:"header_stacks"`
	HeaderUnionTypes  []jsonUnionType   `json:"header_union_types"`
	HeaderUnions      []jsonUnion       `json:"header_unions"`
	HeaderUnionStacks []jsonUnionStack  `json:"header_union_stacks"`
	FieldLists        []jsonFieldList   `json:"field_lists"`
	LearnLists        []jsonFieldList   `json:"learn_lists"`
	Errors            [][2]any          `json:"errors"`
	Parsers           []jsonParser      `json:"parsers"`
	ParseVSets        []jsonVSet        `json:"parse_vsets"`
	Deparsers         []jsonDeparser    `json:"deparsers"`
	MeterArrays       []jsonMeter       `json:"meter_arrays"`
	CounterArrays     []jsonCounter     `json:"counter_arrays"`
	RegisterArrays    []jsonRegister    `json:"register_arrays"`
	Calculations      []jsonCalculation `json:"calculations"`
	Actions           []jsonAction      `json:"actions"`
	Pipelines         []jsonPipeline    `json:"pipelines"`
	Checksums         []jsonChecksum    `json:"checksums"`
	ExternInstances   []jsonExtern      `json:"extern_instances"`
	FieldAliases      []jsonAlias       `json:"field_aliases"`
}

type jsonHeaderType struct {
	Name   string  `json:"name"`
	Fields [][]any `json:"fields"` // name, width ("*" for a variable field), signed, saturating
	// LengthExp is the width of the variable field in bits. P4_14 programs set it if the extract operation does not give the width.
	LengthExp *jsonValue `json:"length_exp"`
	MaxLength int        `json:"max_length"` // size of the whole header in bytes; only for headers with a variable field
}

type jsonHeader struct {
	Name       string `json:"name"`
	ID         int    `json:"id"`
	HeaderType string `json:"header_type"`
	Metadata   bool   `json:"metadata"`
}

type jsonStack struct {
	Name       string `json:"name"`
	HeaderType string `json:"header_type"`
	Size       int    `json:"size"`
	HeaderIDs  []int  `json:"header_ids"`
}

type jsonUnionType struct {
	Name    string      `json:"name"`
	Headers [][2]string `json:"headers"`
}

type jsonUnion struct {
	Name      string `json:"name"`
	ID        int    `json:"id"`
	UnionType string `json:"union_type"`
	HeaderIDs []int  `json:"header_ids"`
}

type jsonUnionStack struct {
	Name           string `json:"name"`
	UnionType      string `json:"union_type"`
	HeaderUnionIDs []int  `json:"header_union_ids"`
}

type jsonFieldList struct {
	ID       int         `json:"id"`
	Name     string      `json:"name"`
	Elements []jsonValue `json:"elements"`
}

// A jsonValue is an object with a type and a value. It encodes an operand or an expression. The form of Value depends on Type. Op and
// Parameters are set if the object is a primitive inside a parser op.
type jsonValue struct {
	Type       string          `json:"type"`
	Value      json.RawMessage `json:"value"`
	BitWidth   int             `json:"bitwidth"`
	Op         string          `json:"op"`
	Parameters []jsonValue     `json:"parameters"`
}

// A jsonOp is the value of an expression. Right is an integer for access_field and access_union_header.
type jsonOp struct {
	Op    string          `json:"op"`
	Left  *jsonValue      `json:"left"`
	Right json.RawMessage `json:"right"`
	Cond  *jsonValue      `json:"cond"`
}

type jsonParser struct {
	Name        string           `json:"name"`
	InitState   string           `json:"init_state"`
	ParseStates []jsonParseState `json:"parse_states"`
}

type jsonParseState struct {
	Name          string           `json:"name"`
	ParserOps     []jsonParserOp   `json:"parser_ops"`
	TransitionKey []jsonValue      `json:"transition_key"`
	Transitions   []jsonTransition `json:"transitions"`
}

type jsonParserOp struct {
	Op         string      `json:"op"`
	Parameters []jsonValue `json:"parameters"`
}

type jsonTransition struct {
	Type      string  `json:"type"`
	Value     *string `json:"value"`
	Mask      *string `json:"mask"`
	NextState *string `json:"next_state"`
}

type jsonVSet struct {
	Name               string `json:"name"`
	CompressedBitwidth int    `json:"compressed_bitwidth"`
}

type jsonDeparser struct {
	Name       string            `json:"name"`
	Order      []string          `json:"order"`
	Primitives []json.RawMessage `json:"primitives"`
}

type jsonMeter struct {
	Name         string    `json:"name"`
	Type         string    `json:"type"`
	RateCount    int       `json:"rate_count"`
	Size         int       `json:"size"`
	IsDirect     bool      `json:"is_direct"`
	Binding      string    `json:"binding"`
	ResultTarget [2]string `json:"result_target"`
}

type jsonCounter struct {
	Name     string `json:"name"`
	Size     int    `json:"size"`
	IsDirect bool   `json:"is_direct"`
	Binding  string `json:"binding"`
}

type jsonRegister struct {
	Name     string `json:"name"`
	Size     int    `json:"size"`
	Bitwidth int    `json:"bitwidth"`
}

type jsonCalculation struct {
	Name  string      `json:"name"`
	Algo  string      `json:"algo"`
	Input []jsonValue `json:"input"`
}

type jsonAction struct {
	Name        string `json:"name"`
	ID          int    `json:"id"`
	RuntimeData []struct {
		Name     string `json:"name"`
		Bitwidth int    `json:"bitwidth"`
	} `json:"runtime_data"`
	Primitives []jsonPrimitive `json:"primitives"`
}

type jsonPrimitive struct {
	Op         string      `json:"op"`
	Parameters []jsonValue `json:"parameters"`
}

type jsonPipeline struct {
	Name           string            `json:"name"`
	InitTable      *string           `json:"init_table"`
	Tables         []jsonTable       `json:"tables"`
	ActionProfiles []jsonProfile     `json:"action_profiles"`
	Conditionals   []jsonConditional `json:"conditionals"`
	ActionCalls    []jsonActionCall  `json:"action_calls"`
}

type jsonTable struct {
	Name            string             `json:"name"`
	Source          *jsonSource        `json:"source_info"`
	MatchType       string             `json:"match_type"`
	Type            string             `json:"type"`
	ActionProfile   string             `json:"action_profile"`
	MaxSize         int                `json:"max_size"`
	WithCounters    bool               `json:"with_counters"`
	SupportTimeout  bool               `json:"support_timeout"`
	DirectMeters    *string            `json:"direct_meters"`
	Key             []jsonKey          `json:"key"`
	ActionIDs       []int              `json:"action_ids"`
	Actions         []string           `json:"actions"`
	NextTables      map[string]*string `json:"next_tables"`
	BaseDefaultNext *string            `json:"base_default_next"`
	DefaultEntry    *struct {
		ActionID         int      `json:"action_id"`
		ActionConst      bool     `json:"action_const"`
		ActionData       []string `json:"action_data"`
		ActionEntryConst bool     `json:"action_entry_const"`
	} `json:"default_entry"`
	Entries []jsonEntry `json:"entries"`
}

// A jsonSource is a position in the program's source.
type jsonSource struct {
	Filename string `json:"filename"`
	Line     int    `json:"line"`
	Fragment string `json:"source_fragment"`
}

// place returns the position as file:line, or an empty string if the JSON has no position.
func (s *jsonSource) place() string {
	if s == nil || s.Filename == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", s.Filename, s.Line)
}

// text returns the source text at the position.
func (s *jsonSource) text() string {
	if s == nil {
		return ""
	}
	return s.Fragment
}

type jsonKey struct {
	MatchType string          `json:"match_type"`
	Name      string          `json:"name"`
	Target    json.RawMessage `json:"target"`
	Mask      *string         `json:"mask"`
}

type jsonEntry struct {
	MatchKey []struct {
		MatchType    string          `json:"match_type"`
		Key          json.RawMessage `json:"key"` // hex string, or a boolean for valid
		PrefixLength int             `json:"prefix_length"`
		Mask         string          `json:"mask"`
		Start        string          `json:"start"`
		End          string          `json:"end"`
	} `json:"match_key"`
	ActionEntry struct {
		ActionID   int      `json:"action_id"`
		ActionData []string `json:"action_data"`
	} `json:"action_entry"`
	Priority int32 `json:"priority"`
}

type jsonProfile struct {
	Name     string `json:"name"`
	MaxSize  int    `json:"max_size"`
	Selector *struct {
		Algo  string      `json:"algo"`
		Input []jsonValue `json:"input"`
	} `json:"selector"`
}

type jsonConditional struct {
	Name       string      `json:"name"`
	Source     *jsonSource `json:"source_info"`
	Expression jsonValue   `json:"expression"`
	TrueNext   *string     `json:"true_next"`
	FalseNext  *string     `json:"false_next"`
}

type jsonActionCall struct {
	Name     string  `json:"name"`
	ActionID int     `json:"action_id"`
	NextNode *string `json:"next_node"`
}

type jsonChecksum struct {
	Name        string     `json:"name"`
	Target      [2]string  `json:"target"`
	Type        string     `json:"type"`
	Calculation string     `json:"calculation"`
	Verify      *bool      `json:"verify"`
	Update      *bool      `json:"update"`
	IfCond      *jsonValue `json:"if_cond"`
}

type jsonExtern struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A jsonAlias maps a field name of simple_switch to a field of the program.
type jsonAlias struct {
	Name  string
	Field [2]string
}

// UnmarshalJSON decodes an alias from an array of two elements.
func (a *jsonAlias) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if err := json.Unmarshal(pair[0], &a.Name); err != nil {
		return err
	}
	return json.Unmarshal(pair[1], &a.Field)
}
