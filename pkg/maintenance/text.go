package maintenance

import (
	"cmp"
	"fmt"
	"time"
)

// String names the effects that are not the first of their kind.
func (e Effects) String() string {
	all := ""
	for _, x := range []struct{ name, value, none string }{
		{"page", string(e.Page), string(PageNormal)}, {"remediate", string(e.Remediate), string(RemediateNormal)},
		{"deploy", string(e.Deploy), string(DeployAny)}, {"sla", string(e.SLA), string(SLAInclude)},
	} {
		if x.value != "" && x.value != x.none {
			all += " " + x.name + "=" + x.value
		}
	}
	if all == "" {
		return "none"
	}
	return all[1:]
}

// clock is a moment in words; the date only where it is not today's.
func clock(t, now time.Time) string {
	t = t.UTC()
	if t.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// words name who and why.
func (w Window) words() string {
	text := ""
	if w.By != "" {
		text = ", by " + w.By
	}
	return text + ": " + cmp.Or(w.Reason, "window "+w.Name)
}

// String is until when, by whom and why, without what changes from check to check.
func (n Now) String() string {
	until := "until further notice"
	if !n.End.IsZero() {
		until = "until " + n.End.UTC().Format("2006-01-02 15:04 UTC")
	}
	return "in maintenance " + until + n.words()
}

// Left says the same for a decision of this moment, with how much time is left.
func (n Now) Left(now time.Time) string {
	if n.End.IsZero() {
		return n.String()
	}
	return fmt.Sprintf("in maintenance until %s, %s left%s", clock(n.End, now), short(n.End.Sub(now)), n.words())
}

// short is a span in two units at most: 42m, 2h5m.
func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d.Truncate(time.Minute)%time.Hour == 0:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}
