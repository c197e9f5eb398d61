// Command demo plays one scenario on a real Kubernetes control plane and tells
// the story as it happens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

func main() {
	name := flag.String("scenario", "release", "which story to play")
	keep := flag.Bool("keep", false, "leave the cluster up at the end, until Ctrl-C")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: demo [-scenario NAME] [-keep]")
		for _, s := range demo.Scenarios() {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-11s %s\n", s.Name, s.About)
		}
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, *name, *keep); {
	case err == nil:
	case ctx.Err() != nil:
		fmt.Println("\nstopped")
		stop()
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, keep bool) (err error) {
	sc, err := demo.Find(name)
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "watchdog-demo-")
	if err != nil {
		return err
	}
	t := teller{start: time.Now()}
	t.say("%s", sc.About)
	t.say("starting a Kubernetes control plane (etcd, API server, controllers, scheduler) in %s", dir)
	tb, err := demo.Up(ctx, root, dir, os.Stdout)
	if err != nil {
		return err
	}
	defer func() {
		tb.Down()
		if err == nil {
			os.RemoveAll(dir)
			return
		}
		fmt.Println("logs are kept in", dir)
	}()
	t.say("installing the application: 3 replicas of agent-system:v2.1.5")
	scene, err := demo.NewScene(ctx, tb, root, "")
	if err != nil {
		return err
	}
	defer scene.Close()

	told, cancel := context.WithCancel(ctx)
	defer cancel()
	go t.incidents(told, scene)
	go t.receivers(told, scene)
	go t.users(told, scene)
	played, err := demo.Play(ctx, scene, sc, t.say)
	if err != nil {
		return err
	}
	t.say("the story ends %s after it began: the incident is %s",
		played.EndedAt.Sub(played.BrokenAt).Round(time.Second), played.Incident.Phase)
	if err := scene.Told(ctx, played.Incident); err != nil {
		return err
	}
	cancel()
	for _, args := range [][]string{{"incidents", "show", played.Incident.ID}, {"why", played.Incident.ID},
		{"status"}} {
		args = append(args, "-n", scene.Watchdog)
		out, err := tb.Watchdog(ctx, args...)
		if err != nil {
			return err
		}
		fmt.Printf("\n$ watchdog %s\n%s", strings.Join(args, " "), out)
	}
	if keep {
		fmt.Printf("\nThe cluster stays up until Ctrl-C:\n  export KUBECONFIG=%s\n  bin/testbed kubectl get pods "+
			"-A\n  bin/watchdog incidents -n %s\n", tb.Kubeconfig, scene.Watchdog)
		<-ctx.Done()
		return errors.New("stopped")
	}
	return nil
}

// teller prints one line per thing that happens.
type teller struct{ start time.Time }

func (t teller) line(who, format string, args ...any) {
	fmt.Printf("%6.1fs  %-10s %s\n", time.Since(t.start).Seconds(), who, fmt.Sprintf(format, args...))
}

func (t teller) say(format string, args ...any) { t.line("demo", format, args...) }

// incidents tells what watchdog writes on its incidents.
func (t teller) incidents(ctx context.Context, s *demo.Scene) {
	seen := map[string]int{}
	for ctx.Err() == nil {
		err := s.Follow(ctx, func(i incident.Incident) bool {
			for _, e := range i.Timeline[min(seen[i.ID], len(i.Timeline)):] {
				t.line("watchdog", "%s %s: %s", i.Severity, e.Kind, e.Text)
			}
			seen[i.ID] = len(i.Timeline)
			return false
		})
		if err != nil && ctx.Err() == nil {
			// The chart has not created the resource yet.
			time.Sleep(500 * time.Millisecond)
		}
	}
}

// receivers tells what arrives at PagerDuty, Slack and the status page.
func (t teller) receivers(ctx context.Context, s *demo.Scene) {
	n := 0
	for ctx.Err() == nil {
		var fresh []recorders.Request
		if s.Receivers.WaitFor(ctx, func(all recorders.Snapshot) bool {
			fresh = all.Requests[min(n, len(all.Requests)):]
			return len(fresh) > 0
		}) != nil {
			return
		}
		for _, r := range fresh {
			t.line(r.Receiver, "%s: %s", r.Action, oneLine(r.Summary))
		}
		n += len(fresh)
	}
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// users tells what the application's users see.
func (t teller) users(ctx context.Context, s *demo.Scene) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.Load == nil {
				continue
			}
			if u := s.Load.Seen(); u.Requests > 0 {
				t.line("users", "%d requests/s, p95 %s, %.1f %% errors", u.Requests/5, u.P95.Round(time.Millisecond),
					100*float64(u.Errors)/float64(u.Requests))
			}
		}
	}
}
