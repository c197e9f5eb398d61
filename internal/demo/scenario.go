package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"watchdog.io/watchdog/pkg/incident"
)

// Scenario is one story with its end.
type Scenario struct {
	Name  string
	About string
	// Config names the file under config/.
	Config string
	// Env is what the application is told beside its release, as NAME=value.
	Env []string
	// Workers is the everyday load; each pauses Think between two requests, or everydayThink.
	Workers int
	Think   time.Duration
	// Before prepares the scene once watchdog runs; Break starts the trouble.
	Before func(ctx context.Context, s *Scene) error
	Break  func(ctx context.Context, s *Scene) error
	Does   string // what Break does, for the narrator
	// Done says that an incident has reached the end of the story.
	Done func(incident.Incident) bool
	// After checks the cluster once the story is told.
	After func(ctx context.Context, s *Scene, inc incident.Incident) error
}

// everydayThink is the pause of one worker between two requests.
const everydayThink = 100 * time.Millisecond

// The rush of the overload story. A replica serves 2 requests at a time, each for
// rushService: 20 a second, whatever the machine. Three replicas serve 60 a second, so
// that 420 users wait 420/60 s - userThink = 2 s each; six serve 120, and nobody waits:
// the users ask for 420/(userThink + rushService) = 82 a second. So few requests keep
// no machine busy, and the figures lie far from the rule's 1 s and 700 ms.
const (
	rushService = 100 * time.Millisecond
	userThink   = 5 * time.Second
	usualUsers  = 60
	rushUsers   = 7 * usualUsers
)

// Scenarios returns all stories, the demo's own first.
func Scenarios() []Scenario {
	return []Scenario{
		{
			Name: "release", About: "a bad release answers 30 % of its users with errors: evidence, rollback, page, " +
				"status page, recovery",
			Config: "release", Workers: 8, Does: "releasing agent-system:v2.2.0, which fails 30 % of its requests",
			Before: goodRevisionKnown, Break: ship("v2.2.0"), Done: resolved, After: runs("agent-system:v2.1.5", 3),
		},
		{
			Name: "crash", About: "a release that crashes at start: the old pods go on serving, the release is " +
				"rolled back",
			Config: "crash", Workers: 4, Does: "releasing agent-system:v2.2.1, which crashes at start",
			Before: goodRevisionKnown, Break: ship("v2.2.1"), Done: resolved, After: runs("agent-system:v2.1.5", 3),
		},
		{
			Name: "slow", About: "a slow release: more replicas of it would bring nothing, so the next rung rolls " +
				"it back",
			Config: "slow", Workers: 8, Does: "releasing agent-system:v2.2.2, which takes 400 ms for each request",
			Before: goodRevisionKnown, Break: ship("v2.2.2"), Done: resolved, After: runs("agent-system:v2.1.5", 0),
		},
		{
			Name: "overload", About: "seven times the users: more replicas help, and their lease ends when the rush " +
				"is over",
			Config: "overload", Env: []string{fmt.Sprint("SERVICE_MS=", rushService.Milliseconds())},
			Workers: usualUsers, Think: userThink,
			Does: "sending seven times the users, which is more than three replicas can serve",
			// More of a release that nobody has seen do well would be no remedy.
			Before: goodRevisionKnown,
			Break: func(_ context.Context, s *Scene) error {
				s.Load.Add(rushUsers-usualUsers, userThink)
				return nil
			},
			Done: helped, After: leaseEnds,
		},
		{
			Name: "agents", About: "fewer than two agents are left: a rolling restart brings them back",
			Config: "agents", Workers: 4, Does: "letting agents die in every replica",
			Break: func(_ context.Context, s *Scene) error { return s.Fault("agents") },
			Done:  resolved, After: restarted,
		},
		{
			Name: "dependency", About: "the database is down: a restart of the application cannot repair it, so " +
				"watchdog does not try",
			Config: "dependency", Workers: 4, Does: "taking the database away",
			Break: func(_ context.Context, s *Scene) error { return s.Fault("database") },
			Done:  func(i incident.Incident) bool { return i.Phase == incident.Escalated }, After: untouched,
		},
		{
			Name: "hold", About: "a person holds the workload: a bad release comes, watchdog tells everybody and " +
				"touches nothing",
			Config: "hold", Workers: 8, Does: "releasing agent-system:v2.2.0 while a person holds the workload",
			Before: func(ctx context.Context, s *Scene) error {
				if err := goodRevisionKnown(ctx, s); err != nil {
					return err
				}
				_, err := s.Testbed.Watchdog(ctx, "hold", s.Namespace+"/agent-system",
					"--reason", "migration in progress", "-n", s.Watchdog)
				return err
			},
			Break: ship("v2.2.0"),
			Done:  func(i incident.Incident) bool { return i.Phase == incident.Suppressed },
			After: runs("agent-system:v2.2.0", 3),
		},
	}
}

// Find returns the scenario of the given name.
func Find(name string) (Scenario, error) {
	var names []string
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("no scenario %q; there are %v", name, names)
}

func ship(version string) func(context.Context, *Scene) error {
	return func(ctx context.Context, s *Scene) error { return s.Release(ctx, version) }
}

func resolved(i incident.Incident) bool { return i.Phase == incident.Resolved }

// helped: an action helped and no rule is firing.
func helped(i incident.Incident) bool {
	return i.Phase == incident.Resolved && slices.ContainsFunc(i.Attempts,
		func(a incident.Attempt) bool { return a.Verdict == incident.Helped })
}

// goodRevisionKnown waits until watchdog has seen the present release healthy
// for long enough to go back to it.
func goodRevisionKnown(ctx context.Context, s *Scene) error {
	return s.GoodRevisionKnown(ctx)
}

// runs checks the image that runs, and how often (0: any number).
func runs(image string, replicas int32) func(context.Context, *Scene, incident.Incident) error {
	return func(ctx context.Context, s *Scene, _ incident.Incident) error {
		d, err := s.Deployment(ctx)
		if err != nil {
			return err
		}
		if got := d.Spec.Template.Spec.Containers[0].Image; got != image {
			return fmt.Errorf("%s runs, want %s", got, image)
		}
		if replicas != 0 && *d.Spec.Replicas != replicas {
			return fmt.Errorf("%d replicas, want %d", *d.Spec.Replicas, replicas)
		}
		return nil
	}
}

// leaseEnds sends the extra users home and waits for the replicas to come back down.
func leaseEnds(ctx context.Context, s *Scene, _ incident.Incident) error {
	d, err := s.Deployment(ctx)
	if err != nil {
		return err
	}
	if *d.Spec.Replicas <= 3 {
		return fmt.Errorf("%d replicas after scaling up, want more than 3", *d.Spec.Replicas)
	}
	s.Load.Stop()
	s.Load = StartLoad(s.Load.url, usualUsers, userThink)
	return s.WaitDeployment(ctx, "the lease to end and 3 replicas to be back",
		func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 })
}

func restarted(ctx context.Context, s *Scene, _ incident.Incident) error {
	d, err := s.Deployment(ctx)
	if err != nil {
		return err
	}
	if d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		return fmt.Errorf("the pods were not restarted")
	}
	return nil
}

func untouched(ctx context.Context, s *Scene, inc incident.Incident) error {
	d, err := s.Deployment(ctx)
	if err != nil {
		return err
	}
	if op := d.Annotations["watchdog.io/op"]; op != "" {
		return fmt.Errorf("watchdog touched the deployment (op %s): %+v", op, inc.Attempts)
	}
	return nil
}
