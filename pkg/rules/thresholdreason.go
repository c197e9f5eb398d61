package rules

import (
	"fmt"
	"strconv"
	"time"
)

// Reason says in one line why the alert is where it is:
// "p95 912ms > 500ms for 2m10s".
func (r *Threshold) Reason(s State) string {
	value := r.What + " " + r.quantity(s.Value)
	switch {
	case s.Verdict == "":
		return "not evaluated yet"
	case s.Verdict.Unknown():
		return s.Unknown
	case s.Verdict == Breach:
		return fmt.Sprintf("%s %s %s for %s", value, r.sign(), r.quantity(r.Bound), short(s.Held))
	case s.Silent:
		return r.What + ": its series are no longer written, although their source is up"
	case s.State == Firing && !s.ClearSince.IsZero():
		return fmt.Sprintf("%s, on the clear side of %s for %s of %s", value, r.quantity(r.Clear), short(s.ClearHeld),
			short(r.ClearFor))
	case s.State == Firing:
		return fmt.Sprintf("%s, not yet on the clear side of %s", value, r.quantity(r.Clear))
	}
	return fmt.Sprintf("%s, not %s %s", value, r.sign(), r.quantity(r.Bound))
}

func (r *Threshold) sign() string {
	if r.Above {
		return ">"
	}
	return "<"
}

// quantity prints v in the rule's unit.
func (r *Threshold) quantity(v float64) string {
	switch r.Unit {
	case "seconds":
		return seconds(v)
	case "ratio":
		return number(v*100) + "%"
	case "":
		return number(v)
	}
	return number(v) + " " + r.Unit
}

func seconds(v float64) string {
	if v > -1 && v < 1 {
		return number(v*1000) + "ms"
	}
	return number(v) + "s"
}

// number prints four significant digits, and no exponent where a person would not.
func number(v float64) string {
	if v >= 1e4 && v < 1e15 || v <= -1e4 && v > -1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// short prints a duration to the second.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
