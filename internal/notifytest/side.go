package notifytest

import (
	"crypto/tls"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/time/rate"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// SecretMark is a part of every secret of Configure: whatever contains it shows a secret.
const SecretMark = "s3cr3t"

// Configure configures one receiver of a kind for P0 and P1, with every secret that it can have. Its peer is the
// recorder at the URL, or the mail server at smarthost.
func Configure(t testing.TB, r *config.Receivers, kind, url, smarthost string) {
	t.Helper()
	secret := func(text string) string {
		f := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(f, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	urgent := []incident.Severity{incident.P0, incident.P1}
	switch kind {
	case recorders.PagerDuty:
		r.PagerDuty = &config.PagerDuty{URL: url + "/pagerduty", Severities: urgent, ChangeEvents: true,
			RoutingKeyFile: secret(SecretMark + strings.Repeat("k", 32-len(SecretMark)))}
	case recorders.Slack:
		r.Slack = &config.Slack{URL: url + "/slack/api/", TokenFile: secret("xoxb-" + SecretMark), Channel: "#incidents",
			Severities: urgent}
	case recorders.Statuspage:
		r.Statuspage = &config.Statuspage{URL: url + "/statuspage", PageID: "p1", TokenFile: secret(SecretMark),
			Publish: "auto", Severities: urgent}
	case recorders.Webhook:
		r.Webhooks = append(r.Webhooks, config.Webhook{Name: kind, URLFile: secret(url + "/webhook/" + SecretMark + "-url"),
			BearerTokenFile: secret(SecretMark + "-token"), Severities: urgent})
	case recorders.Email:
		r.Emails = append(r.Emails, config.Email{Name: "mail", Smarthost: smarthost, From: "watchdog@example.com",
			To: []string{"a@example.com"}, TLS: config.StartTLS, Username: "watchdog", PasswordFile: secret(SecretMark),
			Severities: urgent})
	default:
		t.Fatalf("receiver %q: give notifytest.Configure (internal/notifytest/side.go) a case that configures it", kind)
	}
}

// Side starts one receiver over TLS, with a server of its own, and returns the configuration for it. The package's
// tests must run by Main.
func Side(t testing.TB, kind string) (*recorders.Recorder, *config.Config) {
	t.Helper()
	rec := recorders.New(recorders.Options{SlowBy: 10 * time.Millisecond})
	conf, err := rec.TLS(Authority)
	if err != nil {
		t.Fatal(err)
	}
	url, smarthost := "", ""
	if kind == recorders.Email {
		smarthost = MailServer(t, rec, recorders.SMTPOptions{TLS: conf, User: "watchdog", Password: SecretMark})
	} else {
		srv := httptest.NewUnstartedServer(rec)
		srv.Listener = tls.NewListener(srv.Listener, conf)
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
		srv.Start()
		t.Cleanup(srv.Close)
		url = "https" + strings.TrimPrefix(srv.URL, "http")
	}
	cfg := &config.Config{}
	Configure(t, &cfg.Receivers, kind, url, smarthost)
	if p := cfg.Receivers.Statuspage; p != nil {
		p.PendingFor = model.Duration(time.Second)
	}
	return rec, cfg
}

// Sides starts PagerDuty, Slack and the status page as one server, and returns the configuration for them.
func Sides(t testing.TB) (*recorders.Recorder, *config.Config) {
	t.Helper()
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	cfg := &config.Config{}
	for _, kind := range []string{recorders.PagerDuty, recorders.Slack, recorders.Statuspage} {
		Configure(t, &cfg.Receivers, kind, srv.URL, "")
	}
	return rec, cfg
}

// Unpaced lets receivers send at once that otherwise wait between two requests.
func Unpaced[N any](all []N) []N {
	for _, n := range all {
		if p, ok := any(n).(interface{ SetPace(rate.Limit) }); ok {
			p.SetPace(rate.Inf)
		}
	}
	return all
}
