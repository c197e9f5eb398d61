package notify

// Pagers names the receivers by which a person is woken: PagerDuty and who stands in
// for it, or without it all but the public's.
func Pagers(all []Notifier) []string {
	var named, others []string
	for _, n := range all {
		f, fallback := n.(Fallback)
		_, pages := n.(Pager)
		_, public := n.(Public)
		switch {
		case public || n.Name() == CanaryReceiver:
		case pages || n.Name() == PagerDutyName || fallback && f.FallbackFor() == PagerDutyName:
			named = append(named, n.Name())
		default:
			others = append(others, n.Name())
		}
	}
	if len(named) > 0 {
		return named
	}
	return others
}

// Pager is a receiver by which a person is woken.
type Pager interface {
	Notifier
	// Pages marks it; nothing is done.
	Pages()
}

// PagerDutyName is the name of the receiver that pages.
const PagerDutyName = "pagerduty"
