package backtest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/strutil"
)

// Report is what a policy would have done. The same history and the same policy give
// the same report, byte for byte.
type Report struct {
	Config  string        `json:"config"`
	Mode    incident.Mode `json:"mode"`
	Source  string        `json:"source"`
	Begin   time.Time     `json:"begin"`
	End     time.Time     `json:"end"`
	Targets int           `json:"targets"`
	// Failures are questions that the source could not answer; Failed is one of them.
	Failures  int        `json:"failures"`
	Failed    string     `json:"failed,omitempty"`
	Rules     []Rule     `json:"rules"`
	Incidents []Incident `json:"incidents"`
	Actions   []Action   `json:"actions"`
	Guards    []Guard    `json:"guards"`
	Pages     []Page     `json:"pages"`
	Budget    []Budget   `json:"budget"`
}

// Span is a duration that reads 2m40s or 3d, also in JSON.
type Span time.Duration

// String rounds to the second.
func (s Span) String() string { return model.Duration(time.Duration(s).Round(time.Second)).String() }

// MarshalText is String.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := model.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Rule is how one rule or alert fared, over all targets.
type Rule struct {
	Rule    string `json:"rule"`
	Firings int    `json:"firings"`
	Targets int    `json:"targets"` // on which it fired
	// Firing and Unknown are the time in which it fired, and in which nothing could be
	// said, summed over targets.
	Firing  Span `json:"firing"`
	Unknown Span `json:"unknown"`

	targets map[string]bool
}

// Incident is one incident. ID counts from 1.
type Incident struct {
	ID       string            `json:"id"`
	Target   string            `json:"target"`
	Severity incident.Severity `json:"severity"`
	Rules    []string          `json:"rules"`
	Opened   time.Time         `json:"opened"`
	Resolved time.Time         `json:"resolved,omitzero"`
	Paged    time.Time         `json:"paged,omitzero"`
	Phase    incident.Phase    `json:"phase"` // at the end
}

// Action is one thing that was done in the replay; Would: a mode kept it from being done.
type Action struct {
	At       time.Time          `json:"at"`
	Incident string             `json:"incident,omitempty"`
	Target   string             `json:"target"`
	Action   incident.Action    `json:"action"`
	Rule     string             `json:"rule,omitempty"`
	Summary  string             `json:"summary"`
	Verdict  incident.OpVerdict `json:"verdict,omitempty"`
	Would    bool               `json:"would,omitempty"`

	namespace string
}

// Guard is how often a guard held a plan: each plan of an incident counts once.
type Guard struct {
	Guard   string        `json:"guard"`
	Hold    incident.Hold `json:"hold"`
	Count   int           `json:"count"`
	Example string        `json:"example"`
}

// Page is a person who would have been called.
type Page struct {
	At       time.Time         `json:"at"`
	Incident string            `json:"incident"`
	Target   string            `json:"target"`
	Severity incident.Severity `json:"severity"`
	Reason   string            `json:"reason"`
}

// Budget is the most that was used of a limit at once.
type Budget struct {
	Limit string    `json:"limit"`
	Of    int       `json:"of"`
	Per   Span      `json:"per"`
	Peak  int       `json:"peak"`
	At    time.Time `json:"at,omitzero"`
	Who   string    `json:"who,omitempty"`
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Count is how many actions of a kind were done, or would have been.
func (r *Report) count(action incident.Action, would bool) int {
	n := 0
	for _, a := range r.Actions {
		if a.Action == action && a.Would == would {
			n++
		}
	}
	return n
}

// pagesOf counts pages by severity.
func (r *Report) pagesOf(s incident.Severity) int {
	n := 0
	for _, p := range r.Pages {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// Hours counts pages by severity and hour of the day in UTC.
func (r *Report) hours() map[incident.Severity][24]int {
	all := map[incident.Severity][24]int{}
	for _, p := range r.Pages {
		h := all[p.Severity]
		h[p.At.UTC().Hour()]++
		all[p.Severity] = h
	}
	return all
}

var severities = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}

// reported are the actions that write, and whether each has a line even if it was not taken.
func reported() (names []incident.Action, always map[incident.Action]bool) {
	always = map[incident.Action]bool{}
	for _, a := range remediate.Actions() {
		if a.Writes() {
			names, always[a.Name] = append(names, a.Name), !a.Beside
		}
	}
	return append(names, incident.ActionRevert), always
}

// days is a length of time as people say it.
func days(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return Span(d).String()
}

// WriteText writes the report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s, mode %s, on %s\n%s to %s (%s), %d targets\n\n", r.Config, r.Mode, r.Source,
		r.Begin.Format(time.RFC3339), r.End.Format(time.RFC3339), days(r.End.Sub(r.Begin)), r.Targets)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RULE\tFIRINGS\tTARGETS\tFIRING FOR\tUNKNOWN FOR")
	for _, x := range r.Rules {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", x.Rule, x.Firings, x.Targets, x.Firing, x.Unknown)
	}
	fmt.Fprintf(t, "\nINCIDENTS\t%d\n", len(r.Incidents))
	fmt.Fprintln(t, "\nACTION\tDONE\tLEFT TO PEOPLE BY A MODE")
	names, always := reported()
	for _, a := range names {
		if done, would := r.count(a, false), r.count(a, true); done+would > 0 || always[a] {
			fmt.Fprintf(t, "%s\t%d\t%d\n", a, done, would)
		}
	}
	if len(r.Guards) > 0 {
		fmt.Fprintln(t, "\nHELD BY\tANSWER\tPLANS\tFOR EXAMPLE")
		for _, g := range r.Guards {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", g.Guard, g.Hold, g.Count, strutil.Cut(g.Example, 100))
		}
	}
	fmt.Fprintf(t, "\nPAGES\tCOUNT\tBY HOUR OF THE DAY (UTC, 0 to 23)\n")
	hours := r.hours()
	for _, s := range severities {
		var b strings.Builder
		for _, n := range hours[s] {
			if n == 0 {
				b.WriteString(" .")
				continue
			}
			fmt.Fprintf(&b, " %d", n)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\n", s, r.pagesOf(s), strings.TrimSpace(b.String()))
	}
	fmt.Fprintln(t, "\nBUDGET\tPEAK\tOF\tWHEN")
	for _, b := range r.Budget {
		when := "-"
		if b.Peak > 0 {
			when = strings.TrimSpace(b.At.Format(time.RFC3339) + " " + b.Who)
		}
		fmt.Fprintf(t, "%s\t%d\t%d per %s\t%s\n", b.Limit, b.Peak, b.Of, b.Per, when)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Failures > 0 {
		fmt.Fprintf(w, "\n%d questions could not be answered, one of them: %s\n", r.Failures, r.Failed)
	}
	_, err := fmt.Fprintln(w, "\nHistory goes on as it was: no action cures anything here, so this is the most that "+
		"the policy would have done.")
	return err
}
