package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/strutil"
)

// Limits of one payload. A text beyond them is cut; a body beyond them is refused
// whole, and the error says so.
const (
	maxAlerts     = 10_000         // as many as `max_alerts` should ever allow; one group of a large cluster
	maxLabels     = 64             // Prometheus' own limit where people set one is 30 to 64; the rest is left out
	maxName       = 256            // bytes of a label's name
	maxValue      = 1 << 10        // bytes of a label's value; what is longer is a text, not a label
	maxAnnotation = 4 << 10        // bytes of an annotation; the rest is cut, for it is text for people
	maxURL        = 2 << 10        // bytes; a longer generatorURL is left out, for half of one leads nowhere
	maxWord       = 1 << 10        // bytes of receiver and group key; the rest is cut
	maxAhead      = 24 * time.Hour // startsAt in the future: more is a sender whose clock is wrong
)

// Payload is one decoded request.
type Payload struct {
	Alerts []Alert
	// Truncated is how many alerts of the group the sender left out (max_alerts).
	// They are neither firing nor resolved by that: an absent alert has no meaning.
	Truncated uint64
	// Warnings is what had to be changed or left out.
	Warnings Warnings
}

// payload is version 4 of Alertmanager's webhook, and what Grafana makes of it:
// version 1 with an orgId and further fields. Unknown fields are ignored.
type payload struct {
	Version         string  `json:"version"`
	GroupKey        string  `json:"groupKey"`
	TruncatedAlerts uint64  `json:"truncatedAlerts"`
	Receiver        string  `json:"receiver"`
	OrgID           *int64  `json:"orgId"`
	Alerts          []alert `json:"alerts"`
}

type alert struct {
	Status       Status    `json:"status"`
	Labels       texts     `json:"labels"`
	Annotations  texts     `json:"annotations"`
	StartsAt     time.Time `json:"startsAt"`
	EndsAt       time.Time `json:"endsAt"`
	GeneratorURL string    `json:"generatorURL"`
	Fingerprint  string    `json:"fingerprint"`
}

// texts is a model.LabelSet without its own decoder, which stops at the first
// error and does not say where it is.
type texts map[model.LabelName]model.LabelValue

// Decode reads the body of a webhook that sender posted and that arrived at now.
// Its error is one line for the sender, with nothing of the body unquoted.
func Decode(body []byte, sender string, now time.Time) (Payload, error) {
	if err := survey(body); err != nil {
		return Payload{}, err
	}
	var p payload
	var odd Warnings
	malformed := json.Unmarshal(body, &p)
	if malformed != nil {
		malformed = fmt.Errorf("not an Alertmanager webhook: %s",
			strutil.Cut(strings.Map(shown, malformed.Error()), 300))
		if readApart(body, &p, &odd) != nil {
			return Payload{}, malformed
		}
	}
	grafana := p.Version == "1" && p.OrgID != nil
	switch {
	case p.Version != "4" && !grafana:
		return Payload{}, fmt.Errorf("unknown payload version %q; send version 4 of Alertmanager's "+
			"webhook (or Grafana's)", strutil.Cut(p.Version, 20))
	case len(p.Alerts) == 0 && malformed != nil:
		return Payload{}, malformed
	case len(p.Alerts) == 0:
		return Payload{}, errors.New("the payload has no alerts")
	}
	out := Payload{Truncated: p.TruncatedAlerts, Alerts: make([]Alert, 0, len(p.Alerts))}
	receiver, group := strutil.Cut(p.Receiver, maxWord), strutil.Cut(p.GroupKey, maxWord)
	var unreadable error
	for n, in := range p.Alerts {
		a, changed, err := in.check(now)
		if err != nil {
			odd.Dropped++
			odd.note(n, err.Error())
			if unreadable == nil {
				unreadable = fmt.Errorf("alerts[%d]: %w", n, err)
			}
			continue
		}
		if len(changed) > 0 {
			odd.Cleaned++
			odd.note(n, changed[0])
		}
		a.Receiver, a.GroupKey, a.Sender, a.ReceivedAt = receiver, group, sender, now
		out.Alerts = append(out.Alerts, a)
	}
	if len(out.Alerts) == 0 {
		return Payload{}, unreadable
	}
	out.Warnings = odd
	return out, nil
}

// check returns the alert as it is kept, and what of it was changed.
func (in alert) check(now time.Time) (Alert, []string, error) {
	switch {
	case in.Status != Firing && in.Status != Resolved:
		return Alert{}, nil, fmt.Errorf("status %q is neither firing nor resolved",
			oneLine(strutil.Cut(string(in.Status), 20)))
	case in.StartsAt.Unix() <= 0:
		return Alert{}, nil, errors.New("startsAt is missing, or before 1970")
	case in.StartsAt.After(now.Add(maxAhead)):
		return Alert{}, nil, fmt.Errorf("startsAt %s is more than %s ahead of this host's clock (%s); compare the "+
			"clocks", in.StartsAt.UTC().Format(time.RFC3339), maxAhead, now.UTC().Format(time.RFC3339))
	}
	labels, odd := in.Labels.clean("label", true)
	if len(labels) == 0 {
		return Alert{}, nil, errors.New("the alert has no labels, so it cannot be identified")
	}
	annotations, more := in.Annotations.clean("annotation", false)
	odd = append(odd, more...)
	a := Alert{
		Fingerprint: in.Fingerprint, Status: in.Status, Labels: model.LabelSet(labels),
		Annotations: model.LabelSet(annotations),
		StartsAt:    in.StartsAt.UTC(), GeneratorURL: in.GeneratorURL,
	}
	// While an alert fires it has no end, whatever the sender's clock makes of it.
	if ended := in.EndsAt.Unix() > 0 && !in.EndsAt.After(now.Add(maxAhead)); ended && in.Status == Resolved {
		a.EndsAt = in.EndsAt.UTC()
	}
	if !plainWord(a.Fingerprint) {
		a.Fingerprint = a.Labels.Fingerprint().String()
	}
	if len(a.GeneratorURL) > maxURL || strings.ContainsFunc(a.GeneratorURL, unicode.IsControl) {
		a.GeneratorURL = ""
	}
	return a, odd, nil
}

func notText(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }

// shown replaces what a terminal would act on: errors of the decoder quote what was
// posted, and not in all places escape it.
func shown(r rune) rune {
	if unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

// plainWord: a fingerprint that may go into a file name, a log and a URL.
func plainWord(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	})
}
