//go:build integration

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/incident"
)

// startAlertmanager runs a real one, as a peer of the given ones, and returns its
// address and that of its gossip.
func startAlertmanager(t *testing.T, peers ...string) (address, gossip string) {
	t.Helper()
	dir := t.TempDir()
	address, gossip = free(t), free(t)
	write(t, filepath.Join(dir, "alertmanager.yml"), "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n")
	args := []string{"--config.file=alertmanager.yml", "--storage.path=" + filepath.Join(dir, "am"),
		"--web.listen-address=" + address, "--cluster.listen-address=" + gossip, "--cluster.settle-timeout=1s"}
	for _, p := range peers {
		args = append(args, "--cluster.peer="+p)
	}
	process(t, dir, "alertmanager", args...)
	ready(t, "http://"+address+"/-/ready")
	return address, gossip
}

func silencesOf(t *testing.T, author string, peers ...string) *alertmanager.Client {
	t.Helper()
	for i, p := range peers {
		if !strings.HasPrefix(p, "http") {
			peers[i] = "http://" + p
		}
	}
	c, err := alertmanager.New(alertmanager.Options{URLs: peers, Timeout: 2 * time.Second, Author: author})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func silenceOn(t *testing.T, text string) alertmanager.Window {
	t.Helper()
	m, err := labels.ParseMatchers(text)
	if err != nil {
		t.Fatal(err)
	}
	return alertmanager.Window{Key: "maintenance/" + strings.ToLower(t.Name()), Comment: "the database moves",
		Matchers: m, EndsAt: time.Now().Add(time.Hour)}
}

// alive are the silences that are in force or will be.
func alive(t *testing.T, c *alertmanager.Client) []alertmanager.Silence {
	t.Helper()
	all, odd, err := c.Silences(t.Context())
	if err != nil || odd != nil {
		t.Fatal(err, odd)
	}
	var out []alertmanager.Silence
	for _, s := range all {
		if s.State != "expired" {
			out = append(out, s)
		}
	}
	return out
}

// TestSilencesOfARealAlertmanager makes, extends and ends silences on a cluster of
// two real Alertmanagers.
func TestSilencesOfARealAlertmanager(t *testing.T) {
	one, gossip := startAlertmanager(t)
	two, _ := startAlertmanager(t, gossip)
	first, second := silencesOf(t, "watchdog e2e", one), silencesOf(t, "watchdog e2e", two)
	until(t, "the two to be a cluster", 30*time.Second, func() bool {
		s, err := second.Status(t.Context())
		return err == nil && s.Cluster == "ready" && s.Peers == 2
	})
	both := silencesOf(t, "watchdog e2e", "127.0.0.1:1", one, two)

	w := silenceOn(t, `target="shop",severity=~"P[23]",env!="dev",pod!~"canary-.*"`)
	made, err := both.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	again, err := both.Create(t.Context(), w)
	if err != nil || again.ID != made.ID {
		t.Errorf("made again: %v %v", again, err)
	}
	until(t, "the other peer to have the silence", 20*time.Second, func() bool { return len(alive(t, second)) == 1 })
	got := alive(t, second)[0]
	if got.ID != made.ID || got.State != "active" || got.Matchers.String() != w.Matchers.String() ||
		got.CreatedBy != "watchdog e2e" || got.EndsAt.Sub(w.EndsAt).Abs() > time.Millisecond ||
		got.EndsAt.Location() != time.UTC {
		t.Errorf("%+v, want %s until %s", got, w.Matchers, w.EndsAt)
	}
	if !got.Matches(map[string]string{"target": "shop", "severity": "P2"}) ||
		got.Matches(map[string]string{"target": "shop", "severity": "P2", "pod": "canary-1"}) {
		t.Error("it silences something else")
	}

	// Extended at the other peer, it stays the same silence; then it is so everywhere.
	longer, err := second.Extend(t.Context(), w.Key, w.EndsAt.Add(time.Hour))
	if err != nil || longer.ID != made.ID {
		t.Errorf("extended: %v %v", longer, err)
	}
	until(t, "the first to hear of it", 20*time.Second,
		func() bool { return alive(t, first)[0].EndsAt.After(w.EndsAt.Add(59 * time.Minute)) })
	if err := first.Expire(t.Context(), w.Key); err != nil {
		t.Error(err)
	}
	until(t, "it to be over at both", 20*time.Second,
		func() bool { return len(alive(t, first))+len(alive(t, second)) == 0 })
	if err := both.Expire(t.Context(), w.Key); err != nil {
		t.Errorf("expired twice: %v", err)
	}

	// One that has not begun yet is extended and ended like any other.
	w.Key, w.StartsAt = "maintenance/later", time.Now().Add(30*time.Minute)
	if _, err := first.Create(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Extend(t.Context(), w.Key, w.EndsAt.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if all := alive(t, first); len(all) != 1 || all[0].State != "pending" ||
		!all[0].EndsAt.After(w.EndsAt.Add(59*time.Minute)) {
		t.Errorf("%+v", all)
	}
	if err := first.Expire(t.Context(), w.Key); err != nil || len(alive(t, first)) != 0 {
		t.Errorf("%v, %+v", err, alive(t, first))
	}
	w.Key, w.EndsAt = "maintenance/past", time.Now().Add(-time.Minute)
	if _, err := first.Create(t.Context(), w); err == nil {
		t.Error("a silence in the past was made")
	}
}

// TestALostAnswerLeavesOneRealSilence cuts the connection after Alertmanager has
// taken the request.
func TestALostAnswerLeavesOneRealSilence(t *testing.T) {
	address, _ := startAlertmanager(t)
	direct := silencesOf(t, "watchdog e2e", address)
	var lose atomic.Int32
	back := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || lose.Add(-1) < 0 {
			back.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		back.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			t.Errorf("%s %s: %d", r.Method, r.URL, rec.Code)
		}
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	c, w := silencesOf(t, "watchdog e2e", srv.URL), silenceOn(t, `target="shop"`)
	lose.Store(1)
	made, err := c.Create(t.Context(), w)
	if all := alive(t, direct); err != nil || len(all) != 1 || all[0].ID != made.ID {
		t.Errorf("%v, %+v", err, all)
	}
	lose.Store(1)
	_, err = c.Extend(t.Context(), w.Key, w.EndsAt.Add(time.Hour))
	if all := alive(t, direct); err != nil || len(all) != 1 || !all[0].EndsAt.After(w.EndsAt.Add(59*time.Minute)) {
		t.Errorf("%v, %+v", err, all)
	}
	lose.Store(1)
	if err := c.Expire(t.Context(), w.Key); err != nil || len(alive(t, direct)) != 0 {
		t.Errorf("%v, %+v", err, alive(t, direct))
	}
}

// TestASilencedAlertIsLeftAloneAndPagesWhenTheSilenceEnds: a bad release comes in
// a maintenance. watchdog records it, touches nothing and tells nobody; when the
// silence is ended and it is still bad, all of that follows.
func TestASilencedAlertIsLeftAloneAndPagesWhenTheSilenceEnds(t *testing.T) {
	s := stage(t, "silenced")
	address, _ := startAlertmanager(t)
	person := silencesOf(t, "eve", address)
	w := silenceOn(t, `target="agent-system",alertname="error_rate",namespace="`+s.Namespace+`"`)
	made, err := person.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	installText(t, s, config(t, s, "release")+fmt.Sprintf("alertmanager: { silences: { urls: "+
		"[\"http://127.0.0.1:1\", \"http://%s\"], interval: 1s, timeout: 2s } }\n", address))
	good(t, s)
	until(t, "both replicas to know of the silence", 30*time.Second,
		func() bool { return total(t, s, "watchdog_silences ") == 2 })
	users, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(users, 8, 100*time.Millisecond)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil { // fails 30 % of its requests
		t.Fatal(err)
	}
	inc, err := s.WaitIncident(within(t, time.Minute), "recorded and held because of the silence",
		func(i incident.Incident) bool {
			return i.Target.Name == "agent-system" && i.Phase == incident.Suppressed &&
				explains(i, "silenced by "+made.ID)
		})
	if err != nil {
		t.Fatal(err)
	}
	why, err := s.Testbed.Watchdog(t.Context(), "why", inc.ID, "-n", s.Watchdog)
	want := fmt.Sprintf(`error_rate: silenced by %s until %s by eve "the database moves`, made.ID,
		w.EndsAt.UTC().Format(time.RFC3339))
	if err != nil || !strings.Contains(why, want) {
		t.Errorf("watchdog why does not say %q: %v\n%s", want, err, why)
	}
	// Each of the three receivers had its turn, and was told nothing.
	until(t, "the outbox to have had the incident for each receiver", 30*time.Second, func() bool {
		n := 0
		for _, receiver := range []string{"pagerduty", "slack", "statuspage"} {
			n += min(1, total(t, s, `watchdog_notifications_total{receiver="`+receiver+`",result="silenced"} `))
		}
		return n == 3
	})
	if all := s.Receivers.Snapshot().Requests; len(all) != 0 {
		t.Errorf("told while silenced: %+v", all)
	}
	wantEffects(t, s, 0)
	if got := attempts(t, s); len(got) != 0 {
		t.Errorf("watchdog tried to write: %s %s", got[0].Verb, got[0].RequestURI)
	}

	if err := person.Expire(t.Context(), w.Key); err != nil {
		t.Fatal(err)
	}
	inc, err = s.WaitIncident(within(t, 2*time.Minute), "resolved after a rollback", func(i incident.Incident) bool {
		return i.ID == inc.ID && i.Phase == incident.Resolved
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(inc.Attempts) != 1 || inc.Attempts[0].Action != "rollback" || inc.Attempts[0].Verdict != incident.Helped ||
		!explains(inc, "error_rate is no longer silenced") {
		t.Errorf("attempts %+v; %+v", inc.Attempts, inc.Timeline)
	}
	wantEffects(t, s, 1)
	told(t, s, 1, true)
}

// total sums a metric over the scene's watchdogs.
func total(t *testing.T, s *demo.Scene, name string) int {
	t.Helper()
	n := 0
	for _, p := range pods(t, s) {
		resp, err := http.Get("http://" + p + ":9096/metrics")
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		for l := range strings.Lines(string(body)) {
			var x float64
			if v, ok := strings.CutPrefix(l, name); ok {
				if _, err := fmt.Sscan(v, &x); err == nil {
					n += int(x)
				}
			}
		}
	}
	return n
}
