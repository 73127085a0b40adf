package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// maxText is the longest error text from Prometheus that is repeated, in bytes.
const maxText = 400

// refusal returns an error with Prometheus' reason for refusing a request.
func refusal(status string, body io.Reader) error {
	b, _ := io.ReadAll(io.LimitReader(body, 64<<10)) // a part of the body is enough for the message
	var said struct{ ErrorType, Error string }
	if json.Unmarshal(b, &said) == nil && said.Error != "" {
		return fmt.Errorf("%s: %s: %s", status, said.ErrorType, shorten(said.Error))
	}
	if len(b) == 0 {
		return errors.New(status)
	}
	return fmt.Errorf("%s: %q", status, shorten(string(b)))
}

func shorten(s string) string {
	if len(s) > maxText {
		return s[:maxText] + " ..."
	}
	return s
}

// read reads an answer to query_range one series at a time, so that the bounds are checked while it is read.
//
// The answer is {"status":"success","data":{"resultType":"matrix","result":[{"metric":{...},"values":[[1.5,"2"],...]},...]}}.
func (a answer) read(r io.Reader, sp span, octets bool) error {
	d := json.NewDecoder(r)
	values := 0
	err := object(d, func(name string) error {
		switch name {
		case "status":
			var status string
			if err := d.Decode(&status); err != nil {
				return err
			}
			if status != "success" {
				return fmt.Errorf("status %q: want success", shorten(status))
			}
			return nil
		case "data":
			return object(d, func(name string) error {
				if name != "result" {
					return skip(d)
				}
				return array(d, func() error {
					s := matrix{sp: sp}
					if err := d.Decode(&s); err != nil {
						return err
					}
					return a.add(&s, octets, &values)
				})
			})
		}
		return skip(d)
	})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the answer ends in the middle")
	}
	return err
}

// add adds a series to the answer.
func (a answer) add(s *matrix, octets bool, values *int) error {
	m := s.Metric
	k := Key{Switch: m["switch"], Rule: m["rule"], Leg: m["leg"], Phase: m["phase"], Interface: m["interface"], Direction: m["direction"]}
	if a[k] == nil {
		if len(a) == MaxSeries {
			return fmt.Errorf("%w: more than %d series; name switches or rules", ErrBound, MaxSeries)
		}
		a[k] = make(map[int]*Point, len(s.Values))
	}
	if *values += len(s.Values); len(s.Values) > MaxPoints || *values > MaxValues {
		return fmt.Errorf("%w: more than %d points a series, or %d in all; choose a longer step, or name switches or rules", ErrBound, MaxPoints, MaxValues)
	}
	for _, v := range s.Values {
		end := v.time/60 - float64(s.sp.from)
		i := end/float64(s.sp.step) - 1
		if i != math.Trunc(i) || i < 0 || i >= float64(s.sp.points()) {
			return fmt.Errorf("a value at %v: it is not the end of a step of %v from %s on", v.time, s.sp.length(), stamp(s.sp.start(0)))
		}
		a.set(k, int(i), s.sp, octets, v.value)
	}
	return nil
}

// A matrix is one series of the answer.
type matrix struct {
	sp     span
	Metric map[string]string
	Values []value
}

// A value is a pair in Prometheus' JSON: the time in seconds as a number, and the value as a string.
type value struct{ time, value float64 }

// UnmarshalJSON implements json.Unmarshaler.
func (v *value) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	var text string
	err := json.Unmarshal(b, &pair)
	if err == nil {
		err = json.Unmarshal(pair[1], &text)
	}
	if err == nil {
		v.time, err = strconv.ParseFloat(string(pair[0]), 64)
	}
	if err == nil {
		v.value, err = strconv.ParseFloat(text, 64)
	}
	if err != nil {
		return fmt.Errorf(`value %.40q: want [SECONDS,"NUMBER"]`, b)
	}
	return nil
}

// object calls member for each member of a JSON object.
func object(d *json.Decoder, member func(name string) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // the decoder returns member names as strings only
		if err := member(name); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

// array calls element for each element of a JSON array.
func array(d *json.Decoder, element func() error) error {
	if err := delim(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return delim(d, ']')
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%v in the answer: want %v", t, want)
	}
	return nil
}

func skip(d *json.Decoder) error {
	var v json.RawMessage
	return d.Decode(&v)
}
