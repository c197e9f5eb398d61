package probes

import (
	"strings"
	"testing"
)

func TestDampingTakesNOfM(t *testing.T) {
	for _, row := range []struct {
		name, looks, want string // o ok, b bad, u unknown
		rule              NofM
	}{
		{"starts unknown", "oo", "uu", NofM{}},
		{"three successes make ok", "ooo", "uuo", NofM{}},
		{"two failures of five do not", "ooobobooo", "uuooooooo", NofM{}},
		{"three of five do", "ooobobob", "uuooooob", NofM{}},
		{"three failures make bad at once", "bbb", "uub", NofM{}},
		{"bad until three in a row", "bbbooboooo", "uubbbbbboo", NofM{}},
		{"old failures do not count after recovery", "bbbooob", "uubbboo", NofM{}},
		{"a single success may be enough", "bbbobb", "uubooo", NofM{Failures: 3, Window: 5, Successes: 1}},
		{"failures leave the window", "ooobboooob", "uuoooooooo", NofM{}},
		{"unknown is no failure", "ooobubuu", "uuoooooo", NofM{}},
		{"unknown takes its place", "ooobuuuubb", "uuoooooooo", NofM{}},
		{"unknown does not break a row of successes", "ouououo", "uuuuooo", NofM{}},
		{"a window of unknown is unknown", "ooouuuuu", "uuooooou", NofM{}},
		{"bad becomes unknown too", "bbbuuuuuo", "uubbbbbuu", NofM{}},
		{"successes from before the dark do not count", "oouuuuuooo", "uuuuuuuuuo", NofM{}},
		{"one look", "obu", "obu", NofM{1, 1, 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			damper, got := NewDamper(row.rule), strings.Builder{}
			for _, look := range row.looks {
				state := damper.Add(map[rune]State{'o': OK, 'b': Bad, 'u': Unknown}[look])
				got.WriteByte(state.String()[0])
			}
			if got.String() != row.want {
				t.Errorf("%s: got %s, want %s", row.looks, got.String(), row.want)
			}
		})
	}
}
