package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Limits of one story, from the break to its end. They end what does not come, on a slow
// machine as well.
const (
	storyTimeout   = 6 * time.Minute
	prepareTimeout = 5 * time.Minute
)

// Played is what came of a scenario.
type Played struct {
	Incident incident.Incident
	BrokenAt time.Time
	EndedAt  time.Time
}

// Play runs a scenario on the scene. Each step is told to say first.
func Play(ctx context.Context, s *Scene, sc Scenario, say func(format string, args ...any)) (Played, error) {
	p := Played{}
	prepare, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	url, err := s.URL(prepare, "/work")
	if err != nil {
		return p, err
	}
	if len(sc.Env) > 0 {
		say("the application runs with %s", strings.Join(sc.Env, " "))
		if err := s.SetEnv(prepare, sc.Env...); err != nil {
			return p, err
		}
	}
	say("users arrive: %d at a time", sc.Workers)
	s.Load = StartLoad(url, sc.Workers, cmp.Or(sc.Think, everydayThink))
	config, err := s.Config(sc.Config)
	if err != nil {
		return p, err
	}
	say("installing watchdog by its Helm chart, two replicas, in namespace %s", s.Watchdog)
	if err := s.InstallWatchdog(prepare, config); err != nil {
		return p, err
	}
	if sc.Before != nil {
		say("waiting until watchdog has seen the present release do well")
		if err := sc.Before(prepare, s); err != nil {
			return p, err
		}
	}
	story, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	say("%s", sc.Does)
	p.BrokenAt = time.Now()
	if err := sc.Break(story, s); err != nil {
		return p, err
	}
	if p.Incident, err = s.WaitIncident(story, "at the end of the story", sc.Done); err != nil {
		return p, err
	}
	p.EndedAt = time.Now()
	if sc.After != nil {
		if err := sc.After(story, s, p.Incident); err != nil {
			return p, fmt.Errorf("the incident is %s, but: %w", p.Incident.Phase, err)
		}
	}
	return p, nil
}

// Told waits until every receiver that was told of a resolved incident has been
// told of its end.
func (s *Scene) Told(ctx context.Context, inc incident.Incident) error {
	if inc.Phase != incident.Resolved {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := s.Receivers.WaitFor(ctx, func(recorders.Snapshot) bool {
		for _, side := range []map[string]recorders.Incident{s.Receivers.PagerDutyIncidents(),
			s.Receivers.StatuspageIncidents()} {
			for _, i := range side {
				if i.State != "resolved" {
					return false
				}
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("the incident is resolved, but not everybody was told: %w; PagerDuty %v, status page %v", err,
			s.Receivers.PagerDutyIncidents(), s.Receivers.StatuspageIncidents())
	}
	return nil
}

var ledgersResource = schema.GroupVersionResource{Group: "watchdog.io", Version: "v1alpha1", Resource: "ledgers"}

// GoodRevisionKnown follows watchdog's revision records until one is good.
func (s *Scene) GoodRevisionKnown(ctx context.Context) error {
	for {
		w, err := s.Dynamic.Resource(ledgersResource).Namespace(s.Watchdog).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for e := range w.ResultChan() {
			b, err := json.Marshal(e.Object)
			if err != nil {
				continue
			}
			var o struct {
				Status struct {
					Records map[string][]remediate.Record `json:"records"`
				} `json:"status"`
			}
			if json.Unmarshal(b, &o) != nil {
				continue
			}
			for _, records := range o.Status.Records {
				for _, r := range records {
					if !r.GoodAt.IsZero() {
						w.Stop()
						return nil
					}
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wait for a good revision to be recorded: %w", err)
		}
	}
}

func mustYAMLToJSON(text string) []byte {
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return []byte("{}")
	}
	return b
}
