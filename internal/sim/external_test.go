package sim

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// TestAnExternalAlertIsToldOnceAndEndsOnce_X01_X02_X03 lets an alert fire, be repeated and
// be resolved, while the process dies, is restarted, reloads or loses its lease: one
// incident on the right target, one page, one end.
func TestAnExternalAlertIsToldOnceAndEndsOnce_X01_X02_X03(t *testing.T) {
	at := func(m int) time.Duration { return time.Duration(m) * time.Minute }
	replaced := Happening{At: at(20), What: "pods replaced", Target: "shop"}
	for _, names := range []string{"pod", "gone pod",
		"deployment", "statefulset", "service", "node", "volume", "nothing"} {
		for _, c := range []struct {
			what    string
			dies    bool
			kill    float64
			happens []Happening
		}{
			{what: "nothing happens"},
			{what: "the process dies between accepting and storing it", dies: true},
			{what: "the process dies each time it accepts something", kill: 1},
			{what: "a restart after it was told", happens: []Happening{{At: at(25), What: "kill"}}},
			{what: "a restart after its pods were replaced",
				happens: []Happening{replaced, {At: at(25), What: "kill"}}},
			{what: "a reload after its pods were replaced", happens: []Happening{replaced,
				{At: at(25), What: "reload"}}},
			{what: "a change of leader", happens: []Happening{{At: at(25), What: "hand over"}}},
			{what: "a change of leader after its pods were replaced",
				happens: []Happening{replaced, {At: at(25), What: "lease lost"}}},
			{what: "two changes of leader, there and back", happens: []Happening{replaced,
				{At: at(25), What: "lease lost"}, {At: at(31), What: "lease lost"}}},
			{what: "a change of leader, and back after it is over",
				happens: []Happening{{At: at(25), What: "lease lost"}, {At: at(55), What: "lease lost"}}},
		} {
			for _, odd := range []bool{false, true} {
				name := names + ": " + c.what
				if odd {
					name += ", and nobody can read another alert of its group (X05)"
				}
				t.Run(name, func(t *testing.T) {
					kind := ""
					if names == "statefulset" {
						kind = "statefulset"
					}
					p := (&draw{rand.New(rand.NewPCG(1, 2))}).policy()
					p.Mode = incident.Auto
					s := &Scenario{Name: t.Name(), Seed: 7, Length: at(60), Replicas: 2, Policy: p,
						Targets: []Target{{Name: "shop", Namespace: "prod", Replicas: 3, Rollout: 20 * time.Second,
							Kind: kind}, {Name: "cart", Namespace: "prod", Replicas: 3, Rollout: 20 * time.Second}},
						Happens: c.happens, External: []ExternalAlert{{At: at(15), For: at(30), Names: names,
							Target: "shop", Repeat: at(5), Odd: odd, Dies: c.dies, Kill: c.kill}}}
					if c.kill > 0 {
						s.Replicas = 1 // else what one has heard last is on its disk alone
					}
					w := play(s, nil)
					once(t, w)
					if t.Failed() {
						t.Log(Story(s))
					}
				})
			}
		}
	}
}

// once looks at what became of the only alert of a world.
func once(t *testing.T, w *World) {
	t.Helper()
	for _, v := range w.oracle.violations {
		t.Errorf("at %s: %s: %s", v.At, v.Invariant, v.Text)
	}
	a, pages, ends := w.external.all[0], 0, 0
	for _, c := range w.oracle.calls {
		if c.target == "shop" || strings.HasPrefix(c.target, "not watched: ") {
			pages++
		}
	}
	for _, i := range w.oracle.lastSent {
		if _, ours := i.Alert(a.name); ours && i.Phase == incident.Resolved {
			ends++
			if late := i.ResolvedAt.Sub(a.ended); late > 5*time.Minute || late < 0 {
				t.Errorf("the incident ended %s after the alert", late)
			}
		}
	}
	if len(a.reportedIn) != 1 || pages != 1 || ends != 1 {
		t.Errorf("reported in %d incidents, with %d pages and %d ends", len(a.reportedIn), pages, ends)
	}
}

// TestAnAlertThatComesBackIsToldInTwoIncidents_S07 lets an alert fire for two minutes, six
// times with three minutes between: the first incident is over with it, and the second one
// goes on until it is calm for good, whatever becomes of the process.
func TestAnAlertThatComesBackIsToldInTwoIncidents_S07(t *testing.T) {
	at := func(m int) time.Duration { return time.Duration(m) * time.Minute }
	for _, names := range []string{"deployment", "nothing"} {
		for _, c := range []struct {
			what    string
			kill    float64
			happens []Happening
		}{
			{what: "nothing happens"},
			{what: "the process dies each time it accepts something", kill: 1},
			{what: "a change of leader in a calm", happens: []Happening{{At: at(23), What: "lease lost"}}},
			{what: "a change of leader while it fires", happens: []Happening{{At: at(26), What: "lease lost"}}},
			{what: "a change of leader in the last calm, and back after it",
				happens: []Happening{{At: at(43), What: "lease lost"}, {At: at(56), What: "lease lost"}}},
		} {
			t.Run(names+": "+c.what, func(t *testing.T) {
				p := (&draw{rand.New(rand.NewPCG(1, 2))}).policy()
				p.Mode = incident.Auto
				s := &Scenario{Name: t.Name(), Seed: 7, Length: at(70), Replicas: 2, Policy: p,
					Targets: []Target{{Name: "shop", Namespace: "prod", Replicas: 3, Rollout: 20 * time.Second},
						{Name: "cart", Namespace: "prod", Replicas: 3, Rollout: 20 * time.Second}},
					Happens: c.happens, External: []ExternalAlert{{At: at(15), For: at(2), Pause: at(3), Flaps: 5,
						Names: names, Target: "shop", Repeat: at(5), Kill: c.kill}}}
				if c.kill > 0 {
					s.Replicas = 1 // else what one has heard last is on its disk alone
				}
				w := play(s, nil)
				for _, v := range w.oracle.violations {
					t.Errorf("at %s: %s: %s", v.At, v.Invariant, v.Text)
				}
				a, reportedIn, ends := w.external.all[0], 0, 0
				for _, i := range w.oracle.lastSent {
					if _, ours := i.Alert(a.name); ours {
						reportedIn++
						if i.Phase == incident.Resolved &&
							!i.ResolvedAt.Before(a.ended.Add(incident.FlapCalm)) == (i.RelapseOf != "") {
							ends++
						}
					}
				}
				if pages := len(w.oracle.calls); a.back != 5 || reportedIn != 2 || pages != 2 || ends != 2 {
					t.Errorf("it came back %d times; reported in %d incidents, with %d pages and %d ends", a.back, reportedIn,
						pages, ends)
					t.Log(Story(s))
				}
			})
		}
	}
}
