package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/strutil"
)

// maxWarnings is how many oddities of one payload are described; the others are counted.
const maxWarnings = 5

// Warnings is what was unusual in a payload. One unreadable alert must not cost
// those beside it: Alertmanager does not send a group again that was refused.
type Warnings struct {
	Cleaned int      // alerts of which text was changed or cut
	Dropped int      // alerts that nobody can read
	Texts   []string // the first of them, a line each
}

func (o *Warnings) note(n int, text string) {
	if len(o.Texts) < maxWarnings {
		o.Texts = append(o.Texts, fmt.Sprintf("alerts[%d]: %s", n, text))
	}
}

// escape is what a terminal acts upon: colours, mostly.
var escape = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(\x07|\x1b\\\\)?|\x1b.?")

// oneLine removes escape sequences and replaces other control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, escape.ReplaceAllString(s, ""))
}

// lines does the same and keeps line breaks and tabs.
func lines(s string) string {
	return strings.Map(func(r rune) rune {
		if notText(r) {
			return ' '
		}
		return r
	}, escape.ReplaceAllString(s, ""))
}

// marked cuts s to n bytes and ends it with a hash of the whole: two labels that
// differ only in what is cut stay two.
func marked(s string, n int) string {
	if len(s) <= n {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strutil.Cut(s, n-9) + " " + hex.EncodeToString(sum[:4])
}

// first are the names that are kept when there are too many.
var first = []model.LabelName{model.AlertNameLabel,
	"severity", "target", "namespace", "deployment", "statefulset", "daemonset", "pod", "service", "summary",
	"description", "message", "runbook_url", "dashboard", "dashboard_url"}

// clean returns the texts as they are kept, and what was unusual about them. Of
// labels every bit counts, for they say which alert it is; annotations are for people.
func (t texts) clean(what string, isLabel bool) (texts, []string) {
	if t.plain(isLabel) {
		return t, nil
	}
	var odd []string
	out := texts{}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		value, n := string(t[name]), marked(oneLine(string(name)), maxName)
		if n == "" {
			odd = append(odd, fmt.Sprintf("%s without a name was dropped", what))
			continue
		}
		kept := value
		if isLabel {
			kept = marked(oneLine(value), maxValue)
		} else {
			kept = strutil.Cut(lines(value), maxAnnotation)
		}
		switch {
		case len(kept) < len(value) && len(value) > maxValue:
			odd = append(odd, fmt.Sprintf("%s %q has %d bytes and was truncated", what, strutil.Cut(n, 60), len(value)))
		case n != string(name) || kept != value:
			odd = append(odd, fmt.Sprintf("%s %q had control characters, which were removed", what, strutil.Cut(n, 60)))
		}
		out[model.LabelName(n)] = model.LabelValue(kept)
	}
	if len(out) > maxLabels {
		odd = append(odd, fmt.Sprintf("it has %d %ss, of which %d were kept", len(out), what, maxLabels))
		out = out.fewer(isLabel)
	}
	return out, odd
}

// plain reports whether nothing has to be changed. Most alerts are.
func (t texts) plain(isLabel bool) bool {
	if len(t) > maxLabels {
		return false
	}
	for name, value := range t {
		switch {
		case name == "" || len(name) > maxName || strings.ContainsFunc(string(name), unicode.IsControl):
			return false
		case isLabel && (len(value) > maxValue || strings.ContainsFunc(string(value), unicode.IsControl)):
			return false
		case !isLabel && (len(value) > maxAnnotation || strings.ContainsFunc(string(value), notText)):
			return false
		}
	}
	return true
}

// Ordered returns the keys of m: those named first in that order, then the others by name.
func Ordered[K ~string, V any](m map[K]V, first []K) []K {
	names := slices.DeleteFunc(slices.Clone(first), func(n K) bool { _, has := m[n]; return !has })
	for _, n := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(first, n) {
			names = append(names, n)
		}
	}
	return names
}

// fewer keeps what says most; a hash of the rest stands among labels.
func (t texts) fewer(isLabel bool) texts {
	const rest = "watchdog_labels_left_out"
	names := Ordered(t, first)
	keep := maxLabels
	if isLabel {
		keep--
	}
	out, left := texts{}, sha256.New()
	for k, n := range names {
		if k < keep {
			out[n] = t[n]
			continue
		}
		fmt.Fprintf(left, "%s\xff%s\xff", n, t[n])
	}
	if isLabel {
		out[rest] = model.LabelValue(hex.EncodeToString(left.Sum(nil)[:8]))
	}
	return out
}

// readApart reads a payload alert by alert: one that is not of the right form is
// left out and said.
func readApart(body []byte, p *payload, odd *Warnings) error {
	var apart struct {
		payload
		Alerts []json.RawMessage `json:"alerts"`
	}
	if err := json.Unmarshal(body, &apart); err != nil {
		return err
	}
	*p = apart.payload
	p.Alerts = nil
	for n, raw := range apart.Alerts {
		var a alert
		if err := json.Unmarshal(raw, &a); err != nil {
			odd.Dropped++
			odd.note(n, strutil.Cut(strings.Map(shown, err.Error()), 200))
			continue
		}
		p.Alerts = append(p.Alerts, a)
	}
	return nil
}
