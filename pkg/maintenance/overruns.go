package maintenance

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// warnAt is the share of its time after which a one-off window is reported.
	warnAt = 0.8
	// heldAfter is how long after its window a target may still be on hold; a hold that
	// stands after heldUntil has nothing to do with the window any more.
	heldAfter, heldUntil = time.Hour, 7 * 24 * time.Hour
)

// Alarms describe problems of windows at a moment; empty: none.
type Alarms struct {
	Ending  string // most of the time is over
	Overrun string // the end has passed, and nobody ended the window
	Still   string // extended past its first end, or over for long and a target still on hold
}

// Check finds windows that take longer than planned. hold returns by what a
// target is kept on hold; empty: it is not.
func Check(windows []Window, now time.Time, hold func(target string) string) Alarms {
	var ending, overrun, still []string
	for _, w := range windows {
		if w.Recurs != nil {
			continue
		}
		switch w.PhaseAt(now) {
		case Active:
			if used := w.Used(now); used >= warnAt {
				ending = append(ending, fmt.Sprintf("%d%% of window %s has passed, %s left%s; extend it (`watchdog "+
					"maintenance extend %s --for …`) or end it", int(used*100), w.Name, short(w.Until.Sub(now)),
					w.words(), w.Name))
			}
			if more := w.Extended(); more > 0 && now.After(w.First) {
				still = append(still, fmt.Sprintf("window %s was planned to end at %s, extended until %s%s",
					w.Name, clock(w.First, now), clock(w.Until, now), w.words()))
			}
		case Overrun:
			overrun = append(overrun, fmt.Sprintf("window %s reached its end at %s and nobody ended it%s; "+
				"notifications and actions have resumed; extend it (`watchdog maintenance "+
				"extend %s --for …`) or end it (`watchdog maintenance end %s`)", w.Name, clock(w.Until, now), w.words(),
				w.Name, w.Name))
			still = append(still, w.forgotten(w.Until, now, hold)...)
		case Ended:
			still = append(still, w.forgotten(w.Ended, now, hold)...)
		}
	}
	return Alarms{told(ending), told(overrun), told(still)}
}

// forgotten are the targets of a window that was over a while ago that are on hold still.
func (w Window) forgotten(over, now time.Time, hold func(string) string) []string {
	if since := now.Sub(over); since < heldAfter || since > heldUntil {
		return nil
	}
	var all []string
	for _, t := range w.Targets {
		if why := hold(t); why != "" {
			all = append(all, fmt.Sprintf("window %s ended at %s, but %s is still on hold (%s); lift the hold with "+
				"`watchdog resume`", w.Name, clock(over, now), t, why))
		}
	}
	return all
}

// maxTold bounds what one alarm says.
const maxTold = 5

func told(all []string) string {
	slices.Sort(all)
	all = slices.Compact(all)
	if more := len(all) - maxTold; more > 0 {
		all = append(all[:maxTold:maxTold], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, "; ")
}
