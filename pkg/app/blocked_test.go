package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A replica that gets the lease of a cluster with an old definition does not work: it would be
// silent. It says so, and withholds the heartbeat (X54).
func TestALeaderUnderAnOldDefinitionIsBlocked_X54(t *testing.T) {
	checks := atomic.Int64{}
	const own = "/apis/watchdog.io/v1alpha1/namespaces/watchdog"
	again := make(chan struct{}, 10)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(r.URL.Path, "/leases") && r.Method != http.MethodGet:
			fmt.Fprint(w, `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"watchdog",`+
				`"resourceVersion":"1"},"spec":{}}`)
		case r.Method == http.MethodPost && r.URL.Path == own+"/incidents" && r.URL.Query().Get("dryRun") == "All":
			if _, _ = w.Write(body); checks.Add(1) == 2 { // the status is kept: it is no sub-resource
				again <- struct{}{}
			}
		case r.Method == http.MethodPost: // the ledger
			_, _ = w.Write(body)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		}
	}))
	defer api.Close()
	a := appAt(t, api.URL, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.lead(ctx) }()
	<-again // it tries again, and has said why by now
	if why := a.unstored(); !strings.Contains(why, "apply the chart's crds/") ||
		testutil.ToFloat64(a.metrics.blocked) == 0 {
		t.Errorf("blocked: %q", why)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if why := a.unstored(); why != "" {
		t.Errorf("it does not lead any more: %q", why)
	}
}

// A replica that is stopped while it starts to lead logs no error: nothing failed.
func TestAStopWhileItStartsToLeadIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer api.Close()
	var logged strings.Builder
	a := appAt(t, api.URL, slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError})))
	a.work(ctx)
	if n := testutil.ToFloat64(a.metrics.blocked); logged.Len() > 0 || n != 0 {
		t.Errorf("%v failures, logged: %s", n, logged.String())
	}
}

// appAt returns an app whose API server is at an address.
func appAt(t *testing.T, api string, l *slog.Logger) *App {
	t.Helper()
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, fmt.Appendf(nil,
		`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],`+
			`"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}],"users":[{"name":"c","user":{}}]}`,
		api), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := newApp(Options{DataDir: dir, Namespace: "watchdog", Identity: "w-1", Kubeconfig: kubeconfig, Logger: l},
		15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.record.Close()
		a.ingester.Close()
	})
	return a
}
