package probes

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

// Entry is one probe of one target and when it checks.
type Entry struct {
	Target string // label target
	Name   string // label probe; unique within the target
	Kind   string // a name of Kinds, or KindKubernetes
	// Interval is the time between checks; Timeout bounds one (default Interval).
	Interval time.Duration
	Timeout  time.Duration
	Damping  NofM
	Probe    Probe
	// Hash tells one Probe from another: entries that are equal in everything
	// but the function are taken for the same. It is no text.
	Hash string
}

type key struct{ target, name string }

func (e Entry) key() key { return key{e.Target, e.Name} }

func (e Entry) same(other Entry) bool {
	return e.key() == other.key() && e.Kind == other.Kind && e.Hash == other.Hash &&
		e.Interval == other.Interval && e.Timeout == other.Timeout && e.Damping == other.Damping
}

func (e Entry) withDefaults() Entry {
	if e.Timeout <= 0 || e.Timeout > e.Interval {
		e.Timeout = e.Interval
	}
	e.Damping = e.Damping.withDefaults()
	return e
}

const minInterval = 10 * time.Millisecond

func (e Entry) validate() error {
	var err error
	switch {
	case e.Target == "" || e.Name == "":
		err = errors.New("target name and probe name are required")
	case e.Probe == nil:
		err = errors.New("no check function")
	case e.Interval < minInterval:
		err = fmt.Errorf("interval %s is too short; the minimum is %s", e.Interval, minInterval)
	default:
		err = e.Damping.validate()
	}
	if err != nil {
		return fmt.Errorf("probe %q of target %q: %w", e.Name, e.Target, err)
	}
	return nil
}

// Deps is what probes need that no configuration file holds.
type Deps struct {
	// Workload reads the cluster; nil: targets get no kubernetes probe.
	Workload WorkloadFunc
	// Resolver resolves names; nil: the system's.
	Resolver *net.Resolver
}

const (
	defaultInterval = 15 * time.Second
	defaultTimeout  = 5 * time.Second
)

// FromConfig returns the entries of a target: its configured probes and, if
// there is a cluster to read, one named kubernetes. All errors are reported at
// once.
func FromConfig(target *config.Target, deps Deps) ([]Entry, error) {
	var (
		entries = make([]Entry, 0, len(target.Probes)+1)
		errs    []error
		names   = map[string]bool{}
	)
	add := func(entry Entry, err error) {
		entry.Target = target.Name
		if err == nil && names[entry.Name] {
			err = errors.New("duplicate probe name; set a unique name")
		}
		if err == nil {
			entry = entry.withDefaults()
			err = entry.Damping.validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("probe %q of target %q: %w", entry.Name, target.Name, err))
			return
		}
		names[entry.Name] = true
		entries = append(entries, entry)
	}
	for _, probe := range target.Probes {
		add(fromProbe(probe, deps))
	}
	if deps.Workload != nil && target.Workload != "" {
		add(fromWorkload(target, deps.Workload))
	}
	return entries, errors.Join(errs...)
}

// fromProbe builds the one kind that is set.
func fromProbe(conf config.Probe, deps Deps) (Entry, error) {
	kind, ok := KindOf(conf.Kind())
	if !ok {
		return Entry{}, fmt.Errorf("no probe kind set; expected one of: %s", strings.Join(config.ProbeKinds(), ", "))
	}
	conf.SetDefaults()
	probe, err := kind.make(conf.Options(), deps.Resolver)
	return newEntry(kind.Name, *conf.Look(), conf.Options(), probe), err
}

func fromWorkload(target *config.Target, read WorkloadFunc) (Entry, error) {
	probe, err := NewKubernetes(target.Namespace, target.Workload, read)
	conf := []string{target.Namespace, target.Workload, target.Service}
	return newEntry(KindKubernetes, config.Look{}, conf, probe), err
}

func newEntry(kind string, look config.Look, conf any, probe Probe) Entry {
	entry := Entry{
		Name:     look.Name,
		Kind:     kind,
		Interval: time.Duration(look.Interval),
		Timeout:  time.Duration(look.Timeout),
		Damping:  NofM{Failures: look.Failures, Window: look.Window, Successes: look.Successes},
		Probe:    probe,
		Hash:     hash(kind, conf),
	}
	if entry.Name == "" {
		entry.Name = kind
	}
	if entry.Interval == 0 {
		entry.Interval = defaultInterval
	}
	if entry.Timeout == 0 {
		entry.Timeout = min(defaultTimeout, entry.Interval)
	}
	return entry
}

// hash digests a configuration, which may hold secrets in its headers.
func hash(kind string, conf any) string {
	text, err := json.Marshal(conf)
	if err != nil {
		// Not comparable, so never taken for unchanged.
		text = fmt.Append(nil, time.Now().UnixNano())
	}
	sum := sha256.Sum256(append([]byte(kind+"\n"), text...))
	return string(sum[:])
}

// The labels that every sample of a look has.
const (
	targetLabel = "target"
	probeLabel  = "probe"
)

// labelled adds the labels that make samples of different entries distinct.
func (e Entry) labelled(samples []*model.Sample) []*model.Sample {
	for _, sample := range samples {
		sample.Metric[targetLabel] = model.LabelValue(e.Target)
		sample.Metric[probeLabel] = model.LabelValue(e.Name)
	}
	return samples
}
