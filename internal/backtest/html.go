package backtest

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

//go:embed report.html
var page string

var tmpl = template.Must(template.New("report").Funcs(template.FuncMap{
	"at":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"day":   func(t time.Time) string { return t.UTC().Format("Mon 2 Jan") },
	"days":  days,
	"known": func(t time.Time) bool { return !t.IsZero() },
}).Parse(page))

// maxRows bounds the rows of the picture and of each table.
const maxRows = 500

// WriteHTML writes the report as one page that needs nothing else: no script, no
// font, no request.
func (r *Report) WriteHTML(w io.Writer) error {
	return tmpl.Execute(w, map[string]any{
		"R": r, "Span": r.End.Sub(r.Begin), "Picture": r.picture(), "Counts": r.counts(), "Hours": r.hourRows(),
		"Hour":      hourNames(),
		"Incidents": first(r.Incidents), "Actions": first(r.Actions), "Pages": first(r.Pages), "Max": maxRows,
	})
}

func first[T any](all []T) []T { return all[:min(len(all), maxRows)] }

type countRow struct {
	Action      incident.Action
	Done, Would int
}

func (r *Report) counts() []countRow {
	var all []countRow
	actions, _ := reported()
	for _, a := range actions {
		if x := (countRow{a, r.count(a, false), r.count(a, true)}); x.Done+x.Would > 0 {
			all = append(all, x)
		}
	}
	return all
}

type hourRow struct {
	Severity incident.Severity
	Total    int
	Hours    []int
}

func (r *Report) hourRows() []hourRow {
	var all []hourRow
	hours := r.hours()
	for _, s := range severities {
		h := hours[s]
		all = append(all, hourRow{s, r.pagesOf(s), h[:]})
	}
	return all
}

func hourNames() []string {
	var all []string
	for h := range 24 {
		all = append(all, fmt.Sprintf("%02d", h))
	}
	return all
}

// Sizes of the picture, in pixels.
const (
	left, width, row, top = 190, 900, 22, 26
)

// picture draws what happened when: a row for each target with incidents, a bar for
// each incident, marks for actions and pages.
func (r *Report) picture() template.HTML {
	var targets []string
	for _, i := range r.Incidents {
		if !slices.Contains(targets, i.Target) {
			targets = append(targets, i.Target)
		}
	}
	slices.Sort(targets)
	more := max(0, len(targets)-maxRows)
	targets = first(targets)
	x := func(t time.Time) float64 {
		return left + width*float64(t.Sub(r.Begin))/float64(max(r.End.Sub(r.Begin), 1))
	}
	y := func(target string) (int, bool) {
		k := slices.Index(targets, target)
		return top + k*row, k >= 0
	}
	var b strings.Builder
	height := top + len(targets)*row + 8
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="Incidents, actions and pages over time">`,
		left+width+20, height)
	step := 24 * time.Hour
	for r.End.Sub(r.Begin)/step > 16 {
		step *= 2
	}
	for r.End.Sub(r.Begin)/step < 4 && step > time.Minute {
		step /= 2
	}
	for t := r.Begin.Truncate(step); !t.After(r.End); t = t.Add(step) {
		if t.Before(r.Begin) {
			continue
		}
		name := t.UTC().Format("2 Jan")
		if step < 24*time.Hour {
			name = t.UTC().Format("2 Jan 15:04")
		}
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text class="tick" x="%.1f" `+
			`y="14">%s</text>`, x(t), x(t), top-6, height, x(t), name)
	}
	for _, t := range targets {
		at, _ := y(t)
		fmt.Fprintf(&b, `<text class="name" x="%d" y="%d">%s</text><line class="row" x1="%d" x2="%d" y1="%d" y2="%d"/>`,
			left-8, at+14, template.HTMLEscapeString(strutil.Cut(t, 28)), left, left+width, at+row-2, at+row-2)
	}
	for _, i := range r.Incidents {
		at, drawn := y(i.Target)
		if !drawn {
			continue
		}
		end := i.Resolved
		if end.IsZero() {
			end = r.End
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="12"><title>%s</title></rect>`,
			strings.ToLower(string(i.Severity)), x(i.Opened), at+4, max(2, x(end)-x(i.Opened)),
			template.HTMLEscapeString(fmt.Sprintf("%s %s: %s, %s for %s", i.Severity, i.Target,
				strings.Join(i.Rules, ", "), i.Opened.Format(time.RFC3339), end.Sub(i.Opened).Round(time.Second))))
	}
	for _, a := range r.Actions {
		if at, drawn := y(a.Target); drawn {
			class := "act"
			if a.Would {
				class = "would"
			}
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%d" r="4"><title>%s</title></circle>`, class, x(a.At),
				at+10, template.HTMLEscapeString(a.At.Format(time.RFC3339)+" "+a.Summary+" "+string(a.Verdict)))
		}
	}
	for _, p := range r.Pages {
		if at, drawn := y(p.Target); drawn {
			fmt.Fprintf(&b, `<path class="page" d="M%.1f %d l4 7 l-8 0 z"><title>%s</title></path>`, x(p.At), at+2,
				template.HTMLEscapeString(fmt.Sprintf("%s page %s: %s", p.At.Format(time.RFC3339), p.Severity,
					p.Reason)))
		}
	}
	b.WriteString(`</svg>`)
	if more > 0 {
		fmt.Fprintf(&b, `<p>%d more targets had incidents.</p>`, more)
	}
	return template.HTML(b.String())
}
