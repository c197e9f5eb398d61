package policytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// File is a file of tests: promtool's keys, and those of watchdog.
type File struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string       `yaml:"group_eval_order"`
	FuzzyCompare       bool           `yaml:"fuzzy_compare"`
	Tests              []Test         `yaml:"tests"`
	// Config is the configuration whose policy watchdog_test is about; Mode plays it
	// as if that were its ceiling.
	Config string        `yaml:"config"`
	Mode   incident.Mode `yaml:"mode"`

	path   string
	config *config.Config
}

// Test is one test: series, and what is expected of them.
type Test struct {
	Name           string            `yaml:"name"`
	Interval       model.Duration    `yaml:"interval"`
	InputSeries    []Series          `yaml:"input_series"`
	AlertRuleTests []AlertTest       `yaml:"alert_rule_test"`
	ExprTests      []ExprTest        `yaml:"promql_expr_test"`
	ExternalLabels map[string]string `yaml:"external_labels"`
	ExternalURL    string            `yaml:"external_url"`
	StartTimestamp moment            `yaml:"start_timestamp"`
	// Workloads and Events are what the cluster holds, and what happens there.
	Workloads []Workload   `yaml:"workloads"`
	Events    []Event      `yaml:"events"`
	Watchdog  []PolicyTest `yaml:"watchdog_test"`
}

// Series is an input series in the notation of promtool.
type Series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// AlertTest says which alerts fire.
type AlertTest struct {
	EvalTime  model.Duration `yaml:"eval_time"`
	Alertname string         `yaml:"alertname"`
	ExpAlerts []ExpAlert     `yaml:"exp_alerts"`
}

// ExpAlert is one alert that fires.
type ExpAlert struct {
	ExpLabels      map[string]string `yaml:"exp_labels"`
	ExpAnnotations map[string]string `yaml:"exp_annotations"`
}

// ExprTest says what an expression gives.
type ExprTest struct {
	Expr       string         `yaml:"expr"`
	EvalTime   model.Duration `yaml:"eval_time"`
	ExpSamples []ExpSample    `yaml:"exp_samples"`
}

// ExpSample is one sample of an answer.
type ExpSample struct {
	Labels    string  `yaml:"labels"`
	Value     float64 `yaml:"value"`
	Histogram string  `yaml:"histogram"`
}

// Workload is what the cluster holds of a target at the start of a test.
type Workload struct {
	Target      string            `yaml:"target"`
	Replicas    int               `yaml:"replicas"` // default 3
	Annotations map[string]string `yaml:"annotations"`
	// Owner is the tool that says it owns the workload: "argocd".
	Owner string `yaml:"owner"`
}

// Event is something that happens in the cluster, at a time from the start.
type Event struct {
	At     model.Duration `yaml:"at"`
	What   string         `yaml:"what"`
	Target string         `yaml:"target"`
	For    model.Duration `yaml:"for"`
	By     int            `yaml:"by"` // of "scale by hand"
}

// events are the words for Event.What, and what the simulated world calls them.
var events = map[string]string{
	"release": "good release", "crashing release": "crashing release", "edit": "edit", "scale by hand": "scale by hand",
	"hold": "hold", "claim": "claim", "kill switch": "kill switch", "api server down": "api server down",
}

// PolicyTest says what watchdog has done up to a moment. What is left out is not
// looked at; an empty list says that there is none.
type PolicyTest struct {
	EvalTime     model.Duration `yaml:"eval_time"`
	ExpIncidents *[]ExpIncident `yaml:"exp_incidents"`
	ExpGuards    []ExpGuard     `yaml:"exp_guards"`
	ExpOps       *[]ExpOp       `yaml:"exp_ops"`
	ExpPages     *[]ExpPage     `yaml:"exp_pages"`
}

// ExpIncident is an incident since the start, in the order in which they were opened.
// Fields that are left out are not looked at, here and below.
type ExpIncident struct {
	Target   string            `yaml:"target"`
	Phase    incident.Phase    `yaml:"phase,omitempty"`
	Severity incident.Severity `yaml:"severity,omitempty"`
	Rules    []string          `yaml:"rules,omitempty"` // those that fire
	Paged    *bool             `yaml:"paged,omitempty"`
}

// ExpGuard is what a guard said of the last plan for a target.
type ExpGuard struct {
	Target string `yaml:"target"`
	Guard  string `yaml:"guard"`
	// Hold is pass, wait, skip, freeze, suppress, handover or advise.
	Hold   incident.Hold `yaml:"hold"`
	Reason Pattern       `yaml:"reason,omitempty"`
}

// ExpOp is an action that was taken since the start.
type ExpOp struct {
	Target  string             `yaml:"target"`
	Action  incident.Action    `yaml:"action,omitempty"`
	Summary Pattern            `yaml:"summary,omitempty"`
	Rule    string             `yaml:"rule,omitempty"`
	Verdict incident.OpVerdict `yaml:"verdict,omitempty"`
}

// ExpPage is a person who was paged since the start.
type ExpPage struct {
	Target   string            `yaml:"target"`
	Severity incident.Severity `yaml:"severity,omitempty"`
	Reason   Pattern           `yaml:"reason,omitempty"`
}

// Pattern is a regular expression (RE2) that has to fit somewhere in a text.
type Pattern string

// UnmarshalYAML refuses what is no regular expression, with its line.
func (p *Pattern) UnmarshalYAML(n *yaml.Node) error {
	if _, err := regexp.Compile(n.Value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*p = Pattern(n.Value)
	return nil
}

func (p Pattern) fits(text Pattern) bool {
	return regexp.MustCompile(string(p)).MatchString(string(text))
}

// moment is a time in RFC 3339, or in seconds since 1970.
type moment struct{ time.Time }

// UnmarshalYAML reads either form, as promtool does.
func (m *moment) UnmarshalYAML(n *yaml.Node) error {
	if seconds, err := strconv.ParseFloat(n.Value, 64); err == nil {
		m.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, n.Value)
	if err != nil {
		return fmt.Errorf("start_timestamp %q: want RFC 3339, or seconds since 1970", n.Value)
	}
	m.Time = t.UTC()
	return nil
}

// begin is when the test starts: 1970, unless it says otherwise.
func (t *Test) begin() time.Time {
	if t.StartTimestamp.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t.StartTimestamp.Time
}

// maxFile bounds a file of tests.
const maxFile = 8 << 20

// Read reads a file of tests and what it names.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, maxFile>>20)
	}
	out := &File{path: path}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(out); err != nil && !errors.Is(err, io.EOF) {
		return nil, config.HideIn(text, fmt.Errorf("%s: %w", path, err))
	}
	return out, out.resolve()
}

// resolve fills in what follows from the file's place, and says what cannot be.
func (f *File) resolve() error {
	if f.EvaluationInterval == 0 && f.Config == "" {
		f.EvaluationInterval = model.Duration(time.Minute)
	}
	var globbed []string
	for _, pattern := range f.RuleFiles {
		found, err := filepath.Glob(f.beside(pattern))
		if err != nil {
			return fmt.Errorf("%s: rule_files: %s: %w", f.path, pattern, err)
		}
		if len(found) == 0 {
			return fmt.Errorf("%s: rule_files: no file is called %s", f.path, pattern)
		}
		globbed = append(globbed, found...)
	}
	f.RuleFiles = globbed
	if f.Config != "" {
		var err error
		if f.config, err = config.Load(f.beside(f.Config)); err != nil {
			return fmt.Errorf("%s: config: %w", f.path, err)
		}
		if f.Mode != "" {
			f.config.Raise(f.Mode)
		}
		if f.EvaluationInterval == 0 {
			f.EvaluationInterval = model.Duration(f.config.EvaluationInterval)
		}
	}
	var errs []error
	for k := range f.Tests {
		t := &f.Tests[k]
		if t.Name == "" {
			t.Name = fmt.Sprintf("unnamed#%d", k)
		}
		if t.Interval == 0 {
			t.Interval = f.EvaluationInterval
		}
		errs = append(errs, f.check(t))
	}
	return errors.Join(errs...)
}

func (f *File) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}

// check says what of a test makes no sense.
func (f *File) check(t *Test) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: test %s: %s", f.path, t.Name, fmt.Sprintf(format, args...)))
	}
	if len(t.Watchdog) > 0 && f.config == nil {
		bad("watchdog_test needs the key config at the top of the file: whose policy is meant?")
	}
	known := func(target string) bool {
		for _, x := range f.targets() {
			if x == target {
				return true
			}
		}
		return false
	}
	for _, w := range t.Workloads {
		if !known(w.Target) {
			bad("workloads: %s has no target %q", f.Config, w.Target)
		}
		if w.Replicas < 0 {
			bad("workloads: %s: %d replicas", w.Target, w.Replicas)
		}
	}
	for _, e := range t.Events {
		switch {
		case events[e.What] == "":
			bad("events: %q is none of release, crashing release, edit, scale by hand, hold, claim, kill switch, "+
				"api server down", e.What)
		case e.Target == "" && e.What != "kill switch" && e.What != "api server down", e.Target != "" &&
			!known(e.Target):
			bad("events: %s: %s has no target %q", e.What, f.Config, e.Target)
		}
	}
	for _, x := range t.AlertRuleTests {
		if x.Alertname == "" {
			bad("an item under alert_rule_test misses the attribute alertname at eval_time %s", x.EvalTime)
		}
	}
	return errors.Join(errs...)
}

func (f *File) targets() []string {
	var all []string
	if f.config != nil {
		for _, t := range f.config.Targets {
			all = append(all, t.Name)
		}
	}
	return all
}
