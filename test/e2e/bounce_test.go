//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// realBounces is how often the leader is ended; every other time by kill -9.
const realBounces = 50

// TestBouncingWatchdogOverAnUnchangedWorldDoesNothing_INV07: a service fails and
// goes on failing, it was scaled up in vain under a lease that lasts, and a person
// was paged. Then only watchdog itself has trouble: its leader is killed or
// stopped, fifty times, and the other replica leads. Its pod goes each time, and
// with it the disk: what was done and told must be known from the API server.
func TestBouncingWatchdogOverAnUnchangedWorldDoesNothing_INV07(t *testing.T) {
	s := stage(t, "bounce")
	text := replaced(t, config(t, s, "release"), "- rollback: { settle: 3s, verify: 60s }",
		"- scale: { by: 1, max: 8, lease: 1h, settle: 1s, verify: 4s }")
	installText(t, s, text+"api: { read: anybody }\n") // the test reads of a leader that is seconds old
	good(t, s)
	url, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(url, 4, 100*time.Millisecond)
	if err := s.Fault("errors"); err != nil {
		t.Fatal(err)
	}
	inc, err := s.WaitIncident(within(t, 90*time.Second), "a person's", func(i incident.Incident) bool {
		return i.Phase == incident.Escalated && i.Paged && len(i.Attempts) == 1
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RolledOut(within(t, time.Minute), 4); err != nil {
		t.Fatal(err)
	}
	told(t, s, 1, true)
	bothReady(t, s)
	awaitSettled(t, s, "")
	before, err := s.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The thread says it last: there is a pause between two messages to one channel.
	if err := s.Receivers.WaitFor(within(t, 20*time.Second), func(all recorders.Snapshot) bool {
		return slices.ContainsFunc(all.Requests,
			func(q recorders.Request) bool { return strings.Contains(q.String(), "*paged*") })
	}); err != nil {
		t.Fatal(err)
	}
	wrote, heard := len(attempts(t, s)), len(s.Receivers.Snapshot().Requests)
	wantEffects(t, s, 1)

	began := time.Now()
	for n := range realBounces {
		old := leader(t, s)
		gone := metav1.DeleteOptions{}
		if n%2 == 0 {
			kill9(t, s, old)
			now := int64(0)
			gone.GracePeriodSeconds = &now
		}
		// Without the grace of zero this is SIGTERM, as in a drain or an update.
		if err := tb.Kube.CoreV1().Pods(s.Watchdog).Delete(t.Context(), old, gone); err != nil {
			t.Fatal(err)
		}
		awaitSettled(t, s, old)
		bothReady(t, s)
	}
	t.Logf("%d bounces in %s", realBounces, time.Since(began).Round(time.Second))

	if now := attempts(t, s); len(now) != wrote {
		for _, r := range now[wrote:] {
			t.Errorf("tried to write: %s %s %s (HTTP %d)", r.Verb, r.RequestURI, r.RequestObject, r.ResponseStatus.Code)
		}
	}
	after, err := s.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Generation != before.Generation || *after.Spec.Replicas != 4 {
		t.Errorf("generation %d became %d, with %d replicas; want it as it was, with 4", before.Generation,
			after.Generation, *after.Spec.Replicas)
	}
	all, err := s.Incidents(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != inc.ID || all[0].Phase != incident.Escalated {
		t.Errorf("want the one incident %s as it was, got %d: %+v (%v)", inc.ID, len(all), all, err)
	}
	told(t, s, 1, true)
	news(t, s.Receivers.Snapshot().Requests[heard:])
}

// news fails for everything that a receiver was told without news.
func news(t *testing.T, all []recorders.Request) {
	t.Helper()
	for _, q := range all {
		t.Errorf("told without news: %s", q)
	}
}

// bothReady waits until the scene's two replicas of watchdog are ready.
func bothReady(t *testing.T, s *demo.Scene) {
	t.Helper()
	ctx := within(t, time.Minute)
	w, err := tb.Kube.CoreV1().Pods(s.Watchdog).Watch(ctx,
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=watchdog"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for {
		n := 0
		pods, err := tb.Kube.CoreV1().Pods(s.Watchdog).List(ctx,
			metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=watchdog"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.Conditions {
				if c.Type == "Ready" && c.Status == "True" && p.DeletionTimestamp == nil {
					n++
				}
			}
		}
		if n == 2 && len(pods.Items) == 2 {
			return
		}
		select {
		case <-w.ResultChan():
		case <-ctx.Done():
			t.Fatalf("%d of 2 replicas are ready", n)
		}
	}
}

// awaitSettled waits for a leader other than old that has read what is stored, has
// seen the breach itself, knows the lease, and has nothing left to tell.
func awaitSettled(t *testing.T, s *demo.Scene, old string) {
	t.Helper()
	ctx := within(t, time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	why := "nobody leads"
	for {
		if now := leader(t, s); now != "" && now != old {
			if why = unsettled(ctx, s, now); why == "" {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no leader settled after %q: %s", old, why)
		}
	}
}

// unsettled says what the leader has not done yet.
func unsettled(ctx context.Context, s *demo.Scene, pod string) string {
	p, err := tb.Kube.CoreV1().Pods(s.Watchdog).Get(ctx, pod, metav1.GetOptions{})
	if err != nil || p.Status.PodIP == "" {
		return fmt.Sprintf("%s has no address (%v)", pod, err)
	}
	resp, err := http.Get("http://127." + strings.SplitN(p.Status.PodIP, ".", 2)[1] + ":9095/api/v1/incidents")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	var got struct{ Data []incident.Incident }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Data) == 0 {
		return fmt.Sprintf("%s shows no incident (HTTP %d, %v)", pod, resp.StatusCode, err)
	}
	for _, a := range got.Data[0].Alerts {
		if a.Firing && (a.Verdict != incident.Breach || a.EvaluatedAt.Before(p.Status.StartTime.Time)) {
			return fmt.Sprintf("%s has not seen the breach: %s", pod, a.Reason)
		}
	}
	if n, ok := scrape(p.Status.PodIP, "watchdog_leases"); !ok || n != 1 {
		return fmt.Sprintf("%s knows %v leases", pod, n)
	}
	if n, ok := scrapeMax(p.Status.PodIP, "watchdog_notification_queue_length"); ok && n > 0 {
		return fmt.Sprintf("%s has %v incidents to tell", pod, n)
	}
	return ""
}
