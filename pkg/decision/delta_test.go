package decision

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzDelta: what is written as a change of something gives, with that, what was meant.
func FuzzDelta(f *testing.F) {
	for _, s := range [][2]string{
		{`{"a":1,"b":[1,2,3],"c":{"x":null}}`, `{"a":1,"b":[1,2,4,3],"c":null}`},
		{`{"=":1,"a":{"b":2}}`, `{"=":2,"a":{"=":{"b":2}}}`},
		{`[{"rule":"a","v":1},{"rule":"b","v":2}]`, `[{"rule":"b","v":3},{"rule":"c"},{"rule":"a","v":1}]`},
		{`[[1],[2]]`, `[[2],[1,2]]`},
		{`{"@":0,"d":1}`, `[{"@":0,"d":1}]`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, old, now string) {
		a, err := parse([]byte(old))
		if err != nil {
			return
		}
		b, err := parse([]byte(now))
		if err != nil {
			return
		}
		d, differs := delta(a, b)
		if !differs {
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%s and %s are told to be equal", old, now)
			}
			return
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if d, err = parse(text); err != nil {
			t.Fatal(err)
		}
		got, err := apply(a, d)
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Fatalf("%s changed by %s is %v, want %s: %v", old, text, got, now, err)
		}
		if again, _ := parse([]byte(old)); !reflect.DeepEqual(a, again) {
			t.Fatalf("%s was changed itself", old)
		}
	})
}

func TestWhatHardlyDiffersIsShort(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{`{"alerts":[{"rule":"a","value":1,"ladder":[1,2]},{"rule":"b"}]}`,
			`{"alerts":[{"rule":"a","value":2,"ladder":[1,2]},{"rule":"b"}]}`,
			`{"alerts":[{"@":0,"d":{"value":2}},[1,1]]}`},
		{`[1,2,3,4,5,6]`, `[1,2,5,6,7]`, `[[0,2],[4,2],{"=":7}]`},
		{`{"a":1,"b":2}`, `{"b":2}`, `{"a":null}`},
		{`{"a":1}`, `{"a":{"b":[]}}`, `{"a":{"=":{"b":[]}}}`},
	} {
		a, _ := parse([]byte(c.old))
		b, _ := parse([]byte(c.now))
		d, _ := delta(a, b)
		if got, _ := json.Marshal(d); string(got) != c.want {
			t.Errorf("from %s to %s: %s, want %s", c.old, c.now, got, c.want)
		}
	}
}

func TestAChangeThatFitsNothingIsRefused(t *testing.T) {
	for _, c := range []struct{ old, change, want string }{
		{`{}`, `{"a":{"b":1}}`, "the value is not an object"},
		{`{"a":1}`, `{"a":[[0,1]]}`, "the value is not a list"},
		{`[1]`, `[[0,2]]`, "out of bounds: the list has 1 items"},
		{`[1]`, `[[1,-1]]`, "out of bounds: the list has 1 items"},
		{`[1]`, `[[0,1,2]]`, "3 numbers"},
		{`[1]`, `[{"@":1,"d":2}]`, "out of bounds: the list has 1 items"},
		{`[1]`, `[1]`, "neither copied, changed nor given"},
		{`[1]`, `{"=":1,"a":2}`, "additional members"},
		{`[1]`, `null`, "neither a value nor a change"},
		{`[1,2,3,4,5,6,7,8,9,10]`, `[` + strings.TrimSuffix(strings.Repeat("[0,10],", 1001), ",") + `]`,
			"more than 10000 items"},
	} {
		a, _ := parse([]byte(c.old))
		d, _ := parse([]byte(c.change))
		if got, err := apply(a, d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s changed by %.60s: %v, %v; want %q", c.old, c.change, got, err, c.want)
		}
	}
}
