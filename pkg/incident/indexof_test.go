package incident

import "testing"

func TestAnAlertIsFoundFromAnyPlaceOn(t *testing.T) {
	all := []Alert{{Rule: "a"}, {Rule: "b"}, {Rule: "c"}}
	for from := range 5 {
		for k, x := range all {
			if got := indexOf(all, x.Rule, from); got != k {
				t.Errorf("%s from %d on: %d", x.Rule, from, got)
			}
		}
		if got := indexOf(all, "d", from); got != -1 {
			t.Errorf("d from %d on: %d", from, got)
		}
	}
	if got := indexOf(nil, "a", 1); got != -1 {
		t.Errorf("among none: %d", got)
	}
}
