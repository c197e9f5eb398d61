package maintenance

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzSpec: whatever somebody writes into an object, it either has no effect or is a
// window whose phase, span and effects agree with each other at every moment.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"from":"2026-03-01T12:00:00Z","until":"2026-03-01T13:00:00Z","targets":["shop"],"page":"hold",`+
		`"remediate":"safe_only","deploy":"required","sla":"exclude"}`), int64(1800))
	f.Add([]byte(`{"from":"2026-03-01T12:00:00Z","until":"2026-03-01T13:00:00Z",`+
		`"ended":{"at":"2026-03-01T11:00:00Z"},"extended":[{"until":"2026-03-01T12:30:00Z"}]}`), int64(-1))
	f.Add([]byte(`{"from":"0001-01-01T00:00:00Z","until":"9999-12-31T23:59:59Z"}`), int64(0))
	f.Fuzz(func(t *testing.T, text []byte, offset int64) {
		var s Spec
		if json.Unmarshal(text, &s) != nil {
			return
		}
		w, err := s.Window("x", Status{First: noon})
		if err != nil {
			return
		}
		now := noon.Add(time.Duration(offset%(1<<22)) * time.Second)
		begin, end := w.Span(now)
		active := w.PhaseAt(now) == Active
		if active && (now.Before(begin) || !now.Before(end)) {
			t.Errorf("active at %s, from %s until %s", now, begin, end)
		}
		if active && end.After(w.Until) {
			t.Errorf("it lasts longer than it says: %s", end)
		}
		if u := w.Used(now); !(u >= 0 && u <= 1) {
			t.Errorf("%g used", u)
		}
		p := At([]Window{w}, now)
		if (len(p.Active) == 1) != active || !p.Holds(now) {
			t.Errorf("active %v, present %+v", active, p)
		}
		state := p.Of("shop")
		if (state.In != nil) != (active && w.Covers("shop")) || state.Held != nil && w.Page != PageHold {
			t.Errorf("%+v", state)
		}
		if _, why := MayDeploy([]Window{w}, "shop", now); why == "" {
			t.Error("no reason")
		}
		Check([]Window{w}, now, func(string) string { return "held" })
		if later := w; active {
			later.Ended = now
			if at := At([]Window{later}, now); len(at.Active) != 0 {
				t.Error("ended, and it goes on")
			}
		}
	})
}
