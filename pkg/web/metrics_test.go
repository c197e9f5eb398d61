package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// With a password on every page the kubelet's probes got 401, and the pods were
// restarted for ever.
func TestHealthIsAskedWithoutAPassword_X53(t *testing.T) {
	config := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(config, []byte("basic_auth_users: { am: "+rightHash+" }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ready atomic.Bool
	o := Options{Logger: slog.New(slog.DiscardHandler), Ready: func() error {
		if !ready.Load() {
			return errors.New("no known leader yet")
		}
		return nil
	}}
	start := func(serve func(context.Context, Options, net.Listener) error) (string, chan error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- serve(ctx, o, l) }()
		return "http://" + l.Addr().String(), done
	}
	pages, ended := start(func(ctx context.Context, o Options,
		l net.Listener) error {
		return serveOn(ctx, o, l, config)
	})
	health, endedToo := start(serveMetricsOn)
	get := func(url string) (int, string) {
		t.Helper()
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(b)
	}
	if status, _ := get(pages + "/-/healthy"); status != http.StatusUnauthorized {
		t.Errorf("the pages without a password: %d", status)
	}
	if status, _ := get(health + "/-/healthy"); status != http.StatusOK {
		t.Errorf("alive: %d", status)
	}
	if status, text := get(health + "/-/ready"); status != http.StatusServiceUnavailable ||
		!strings.Contains(text, "no known leader yet") {
		t.Errorf("not ready: %d %s", status, text)
	}
	ready.Store(true)
	if status, _ := get(health + "/-/ready"); status != http.StatusOK {
		t.Errorf("ready: %d", status)
	}
	for _, page := range []string{"/", "/-/reload", "/api/v1/incidents", "/webhook/alertmanager"} {
		if status, _ := get(health + page); status != http.StatusNotFound {
			t.Errorf("%s without a password: %d", page, status)
		}
	}
	cancel()
	if err := errors.Join(<-ended, <-endedToo); err != nil {
		t.Error(err)
	}
}
