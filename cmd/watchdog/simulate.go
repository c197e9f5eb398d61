package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"watchdog.io/watchdog/internal/sim"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
)

// simulation are the flags of `watchdog simulate`.
type simulation struct {
	file      string
	targets   []string
	failures  []string
	mode      string
	seed      uint64
	replicas  int
	incidents int
	list      bool
	trace     bool
	output    string
}

func newSimulate() *cobra.Command {
	s := simulation{}
	c := &cobra.Command{
		Use:   "simulate --config FILE",
		Short: "Simulate failures against a configuration",
		Long: `Simulate plays failures in a simulated cluster inside this process: bad releases,
overload, a database outage, missing monitoring data, and people and controllers who
interfere. The code of the daemon decides, with your rules, ladders, modes, guards and
budgets. Simulate does not contact a cluster and writes nothing.

In a mode below auto, watchdog only reports what it would have done. --mode auto sets the
global mode to auto, and the mode of every target and rule that has none in the file. A
lower mode in the file still applies, and the output says so.

Rules that query a Prometheus server, and rule files, cannot be simulated; they are listed.

Exit status: 0 no harmful and no missed outcome, 1 there was one or the file is invalid,
2 usage error. With --incidents, only harmful outcomes count.`,
		Example: `  watchdog simulate --config watchdog.yaml --mode auto
  watchdog simulate --config watchdog.yaml --failure "bad release" --trace
  watchdog simulate --config watchdog.yaml --incidents 200 --seed 7
  watchdog simulate --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misused{fmt.Errorf("simulate accepts no arguments; use --config FILE")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	f := c.Flags()
	f.StringVar(&s.file, "config", "", "configuration file")
	f.StringArrayVar(&s.targets, "target", nil,
		"the target that fails; can be repeated (default: the first target that watchdog may act on)")
	f.StringArrayVar(&s.failures, "failure", nil, "simulate only failures whose name starts with this; can be repeated")
	f.StringVar(&s.mode, "mode", "", "override the mode of the configuration: observe, suggest, approve or auto")
	f.Uint64Var(&s.seed, "seed", 1, "random seed; the same seed gives the same result")
	f.IntVar(&s.replicas, "replicas", 3, "pods of each target")
	f.IntVar(&s.incidents, "incidents", 0,
		"simulate random worlds, instead of the catalogue, until this number of incidents, and print the score")
	f.BoolVar(&s.list, "list", false, "list the failures")
	f.BoolVar(&s.trace, "trace", false, "print every step")
	f.StringVarP(&s.output, "output", "o", formatTable, "table, json or yaml")
	return c
}

func (s *simulation) run(c *cobra.Command) error {
	failures, err := s.pick()
	if err != nil {
		return misused{err}
	}
	if s.list {
		listFailures(c.OutOrStdout(), failures)
		return nil
	}
	switch {
	case !slices.Contains([]string{formatTable, formatJSON, "yaml"}, s.output):
		return misused{fmt.Errorf("invalid --output %q; expected one of: table, json, yaml", s.output)}
	case !slices.Contains([]string{"", "observe", "suggest", "approve", "auto"}, s.mode):
		return misused{fmt.Errorf("invalid --mode %q; expected one of: observe, suggest, approve, auto", s.mode)}
	case s.file == "":
		return misused{errors.New("--config FILE is required")}
	case s.replicas < 1 || s.replicas > 100 || s.incidents < 0:
		return misused{errors.New("--replicas must be 1 to 100, and --incidents must not be negative")}
	}
	cfg, err := config.Load(s.file)
	if err != nil {
		return check(c, []string{s.file})
	}
	if s.mode != "" {
		cfg.Raise(incident.Mode(s.mode))
	}
	policy, err := policy.New(cfg)
	if err != nil {
		return check(c, []string{s.file})
	}
	targets, err := s.victims(cfg)
	if err != nil {
		return misused{err}
	}
	if s.incidents > 0 {
		return s.score(c.OutOrStdout(), c.ErrOrStderr(), cfg, policy, targets[0])
	}
	r, err := s.try(c.ErrOrStderr(), cfg, policy, targets, failures)
	if err != nil {
		return err
	}
	if err := s.print(c.OutOrStdout(), r); err != nil {
		return err
	}
	return r.err()
}

// pick returns the failures that were asked for.
func (s *simulation) pick() ([]sim.Failure, error) {
	all := sim.Catalogue()
	if len(s.failures) == 0 {
		return all, nil
	}
	var picked []sim.Failure
	for _, name := range s.failures {
		k := slices.IndexFunc(all, func(f sim.Failure) bool { return f.Name == name })
		some := slices.DeleteFunc(slices.Clone(all),
			func(f sim.Failure) bool { return !strings.HasPrefix(f.Name, name) })
		switch {
		case k >= 0:
			picked = append(picked, all[k])
		case name == "" || len(some) == 0:
			return nil, fmt.Errorf("unknown failure %q; `watchdog simulate --list` lists all failures", name)
		default:
			picked = append(picked, some...)
		}
	}
	return picked, nil
}

// victims returns the targets that fail, one after the other.
func (s *simulation) victims(cfg *config.Config) ([]string, error) {
	if len(cfg.Targets) == 0 {
		return nil, fmt.Errorf("%s: no targets configured", s.file)
	}
	for _, name := range s.targets {
		if !slices.ContainsFunc(cfg.Targets, func(t config.Target) bool { return t.Name == name }) {
			return nil, fmt.Errorf("unknown --target %s in %s", name, s.file)
		}
	}
	if len(s.targets) > 0 {
		return s.targets, nil
	}
	first := cfg.Targets[0].Name
	if k := slices.IndexFunc(cfg.Targets, func(t config.Target) bool {
		return strings.HasPrefix(t.Workload,
			"deployment/")
	}); k >= 0 {
		first = cfg.Targets[k].Name
	}
	return []string{first}, nil
}

// company is how many targets live in a simulated world at most.
const company = 10

// trial makes a configuration's policy into one that can be simulated, on the
// victim and some of the other targets. It returns the rules that cannot be.
func (s *simulation) trial(cfg *config.Config, p *policy.Policy, victim string) (sim.Trial, []string) {
	t := sim.Trial{Seed: s.seed, Story: s.trace}
	var names []string
	add := func(x config.Target) {
		kind, _, _ := strings.Cut(x.Workload, "/")
		names = append(names, x.Name)
		t.Targets = append(t.Targets, sim.Target{Name: x.Name, Namespace: x.Namespace, Kind: kind, Replicas: s.replicas,
			Rollout: 30 * time.Second})
	}
	own := &sim.Own{Setup: p.Setup, View: p.View, Dependencies: policy.Dependencies, Firing: policy.Firing,
		Probes: map[string][]sim.Probe{}, Interval: time.Duration(cfg.EvaluationInterval),
		Retention: policy.Retention(p.Rules, nil), Alone: true}
	for _, x := range cfg.Targets {
		if x.Name == victim {
			add(x)
		}
	}
	for _, x := range cfg.Targets {
		if x.Name != victim && len(names) < company {
			add(x)
		}
		if slices.Contains(names, x.Name) {
			own.Probes[x.Name] = looks(x)
		}
	}
	setup := p.Setup()
	t.Policy = &sim.Policy{Mode: cfg.Mode, Settings: setup.Settings, Limits: setup.Limits, Core: setup.Policy, Own: own}
	var remote []string
	for _, r := range p.Rules {
		if r.Source == "prometheus" {
			remote = append(remote, r.Name)
			continue
		}
		r.Targets = slices.DeleteFunc(slices.Clone(r.Targets),
			func(n string) bool { return !slices.Contains(names, n) })
		if len(r.Targets) == 0 {
			continue
		}
		own.Rules = append(own.Rules, r)
		k := slices.IndexFunc(cfg.Thresholds, func(x config.Threshold) bool { return x.Name == r.Name })
		t.Policy.Rules = append(t.Policy.Rules, sim.Rule{Threshold: r, Metric: cfg.Thresholds[k].Metric,
			Ladder: p.Ladder(r.Name), SingleSource: cfg.Thresholds[k].SingleSource})
	}
	// What rule files and objectives look at is not played.
	for _, g := range slices.Concat(p.Groups, p.SLOs) {
		remote = append(remote, g.AlertNames()...)
	}
	slices.Sort(remote)
	return t, slices.Compact(remote)
}

// notPlayed names the probes that the simulated world cannot answer.
func notPlayed(cfg *config.Config) []string {
	var all []string
	for _, t := range cfg.Targets {
		for _, p := range t.Probes {
			if k, _ := probes.KindOf(p.Kind()); k.NotSimulated != "" {
				all = append(all, fmt.Sprintf("the probe %s of %s is not simulated: %s", p.Look().Name, t.Name,
					k.NotSimulated))
			}
		}
	}
	return all
}

// looks are a target's probes as the simulated world answers them.
func looks(t config.Target) []sim.Probe {
	var all []sim.Probe
	for _, p := range t.Probes {
		if k, ok := probes.KindOf(p.Kind()); !ok || k.NotSimulated != "" {
			continue // nothing there could answer it
		}
		l := p.Look()
		x := sim.Probe{Name: l.Name, Kind: p.Kind(), Interval: time.Duration(l.Interval),
			Timeout: time.Duration(l.Timeout),
			Damping: probes.NofM{Failures: l.Failures, Window: l.Window, Successes: l.Successes}}
		switch {
		case p.HTTP != nil:
			x.Limit = time.Duration(p.HTTP.MaxDuration)
			// Who takes a refusal for an answer asks somebody else's API.
			x.Outside = slices.ContainsFunc(p.HTTP.Statuses, func(code int) bool { return code == 401 || code == 403 })
		case p.TCP != nil:
			_, workload, _ := strings.Cut(t.Workload, "/")
			x.Outside = !slices.ContainsFunc([]string{workload, t.Service},
				func(name string) bool { return name != "" && strings.HasPrefix(p.TCP.Address, name) })
		}
		all = append(all, x)
	}
	return all
}

// tried is what `watchdog simulate` prints.
type tried struct {
	File     string        `json:"file"`
	Mode     incident.Mode `json:"mode"`
	Seed     uint64        `json:"seed"`
	Outcomes []sim.Outcome `json:"outcomes"`
	Hints    []string      `json:"hints,omitempty"`
	// NotSimulated are rules that ask Prometheus, and alerts of rule files and objectives.
	NotSimulated []string `json:"notSimulated,omitempty"`

	raised bool
	took   time.Duration
}

func (s *simulation) try(progress io.Writer, cfg *config.Config, p *policy.Policy, targets []string,
	failures []sim.Failure) (tried, error) {
	begin := time.Now()
	r := tried{File: s.file, Mode: cfg.Mode, Seed: s.seed, raised: s.mode != ""}
	tell := teller(progress, fmt.Sprintf("of %d failures", len(targets)*len(failures)))
	for k, victim := range targets {
		t, remote := s.trial(cfg, p, victim)
		r.NotSimulated = remote
		if len(t.Policy.Rules) == 0 {
			return r, fmt.Errorf("%s: nothing to simulate for target %s: %s", s.file, victim,
				cmp.Or(asks(remote), "no rule applies to it"))
		}
		f := t.Try(failures, runtime.GOMAXPROCS(0), func(done int) { tell(k*len(failures) + done) })
		r.Outcomes = append(r.Outcomes, f.Outcomes...)
		for _, h := range slices.Concat(f.Hints, notPlayed(cfg)) {
			if !slices.Contains(r.Hints, h) {
				r.Hints = append(r.Hints, h)
			}
		}
	}
	tell(-1)
	r.took = time.Since(begin)
	return r, nil
}

// asks says which rules cannot be simulated.
func asks(remote []string) string {
	switch len(remote) {
	case 0:
		return ""
	case 1:
		return remote[0] + " queries Prometheus or is from a rule file; not simulated"
	}
	return strings.Join(remote, ", ") + " query Prometheus or are from a rule file; not simulated"
}

// teller shows progress on a terminal once somebody had to wait for two seconds; -1 ends it.
func teller(w io.Writer, what string) func(done int) {
	begin := time.Now()
	f, ok := w.(*os.File)
	if ok {
		info, err := f.Stat()
		ok = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	shown := false
	return func(done int) {
		switch {
		case !ok || done >= 0 && time.Since(begin) < 2*time.Second:
		case done >= 0:
			shown = true
			fmt.Fprintf(w, "\r%d %s played ", done, what)
		case shown:
			fmt.Fprint(w, "\r\033[K")
		}
	}
}

// err is what the exit status follows.
func (r tried) err() error {
	f := sim.Findings{Outcomes: r.Outcomes}
	if harmful, missed := f.Count(sim.Harmful), f.Count(sim.Missed); harmful+missed > 0 {
		return fmt.Errorf("of %d failures, %d were missed and %d were made worse", len(r.Outcomes), missed, harmful)
	}
	return nil
}

// score plays random worlds and prints how the policy did.
func (s *simulation) score(w, progress io.Writer, cfg *config.Config, p *policy.Policy, victim string) error {
	t, remote := s.trial(cfg, p, victim)
	if len(t.Policy.Rules) == 0 {
		return fmt.Errorf("%s: nothing to simulate: %s", s.file, cmp.Or(asks(remote), "no rules"))
	}
	tell := teller(progress, "worlds")
	var mu sync.Mutex
	worlds := 0
	r := sim.Many(s.seed, s.incidents, runtime.GOMAXPROCS(0), func(seed uint64) *sim.Scenario {
		mu.Lock()
		defer mu.Unlock()
		tell(worlds)
		worlds++
		return t.Worlds(seed)
	})
	tell(-1)
	if s.output == formatTable {
		fmt.Fprint(w, r)
		if len(remote) > 0 {
			fmt.Fprintln(w, asks(remote))
		}
	} else if err := encode(w, s.output, r); err != nil {
		return err
	}
	if r.Violations() > 0 || r.Score.Harmful > 0 {
		return fmt.Errorf("%d harmful actions, %d broken promises", r.Score.Harmful, r.Violations())
	}
	return nil
}

func encode(w io.Writer, format string, v any) error {
	if format == formatJSON {
		return printJSON(w, v)
	}
	b, err := yaml.Marshal(v)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}
