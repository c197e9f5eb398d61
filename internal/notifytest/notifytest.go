// Package notifytest has what tests of receivers share: an incident and its end, the
// configuration of receivers that answer from memory, and an authority for their TLS.
package notifytest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// MailServer serves a recorder by SMTP until the test ends.
func MailServer(t testing.TB, rec *recorders.Recorder, o recorders.SMTPOptions) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- rec.ServeSMTP(l, o) }()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// Stranger is the certificate of another authority.
func Stranger(t *testing.T) string {
	t.Helper()
	a, err := recorders.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	f := filepath.Join(t.TempDir(), "stranger.pem")
	if err := os.WriteFile(f, a.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// Foreign puts text from elsewhere into every field that a receiver may show.
func Foreign(text string, phase, severity byte) incident.Incident {
	i := Trouble()
	i.Phase = []incident.Phase{incident.Open, incident.Acting, incident.Verifying, incident.Suppressed, incident.Frozen,
		incident.Escalated, incident.Resolved}[phase%7]
	i.Severity = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}[severity%4]
	i.ID, i.Lead, i.Paged, i.PageReason = text, text, phase%2 == 0, text
	i.Target.Name, i.Target.Namespace, i.Target.Workload = text, text, text
	i.Alerts[0].Rule, i.Alerts[0].Was, i.Alerts[0].Reason = text, text, text
	i.Answers = []incident.Answer{{Guard: text, Hold: incident.Wait, Reason: text}}
	i.Attempts = []incident.Attempt{{Summary: text, Verdict: incident.OpVerdict(text)},
		{Summary: text, Verdict: incident.Helped}}
	for range 12 {
		i.Timeline = append(i.Timeline, incident.Entry{At: T0, Kind: incident.Kind(text), Text: text})
	}
	return i
}

// Acknowledged is an incident whose P1 somebody took on, and the same as a P0.
func Acknowledged() (was, now incident.Incident) {
	was = Trouble()
	was.Acked = incident.Attribution{By: "alice", At: T0, Severity: was.Severity}
	now = was
	now.Severity, now.AckedBefore, now.Acked, now.AckBy = incident.P0, was.Acked, incident.Attribution{},
		T0.Add(time.Hour)
	now.UpdatedAt = was.UpdatedAt.Add(time.Minute)
	now.Timeline = append(slices.Clone(was.Timeline), incident.Entry{At: T0, Kind: "severity",
		Text: "raised from P1 to P0 by down"})
	return was, now
}

// Authority is who signs for the recorders of these tests; the system's own list
// of authorities is made to be it alone, since most receivers have no ca_file.
var Authority *recorders.Authority

// caFile is authority as a file.
var caFile string

// Main runs a package's tests with Authority as the only authority that the system trusts.
func Main(m *testing.M) {
	code, err := trusting(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "notify:", err)
		code = 1
	}
	os.Exit(code)
}

func trusting(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "watchdog-notify-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if Authority, err = recorders.NewAuthority(); err != nil {
		return 1, err
	}
	caFile = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, Authority.PEM(), 0o600); err != nil {
		return 1, err
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if err := os.Setenv(name, map[string]string{"SSL_CERT_FILE": caFile, "SSL_CERT_DIR": dir}[name]); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// InMaintenance is one on a target that is in maintenance.
func InMaintenance() incident.Incident {
	return incident.Incident{ID: "01a", Severity: incident.P1, Phase: incident.Suppressed, Lead: "errors",
		Alerts:      []incident.Alert{{Rule: "errors", Firing: true}},
		Maintenance: incident.Maintenance{Window: "in maintenance until 2026-03-01 12:42 UTC, by <alice>: move"},
		Answers:     []incident.Answer{{Guard: "maintenance", Hold: incident.Suppress, Reason: "in maintenance"}}}
}

// T0 is when the incidents of these tests begin.
var T0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// Trouble is an open incident of one target, with one alert that fires.
func Trouble() incident.Incident {
	i := incident.New("01inc", incident.Target{Name: "shop", Namespace: "shop-prod", Kind: "deployment",
		Workload: "shop"}, T0)
	i.Severity, i.Lead = incident.P1, "error_rate"
	i.Alerts = []incident.Alert{{Rule: "error_rate", Severity: incident.P1, Firing: true, Verdict: incident.Breach,
		Was: "error rate 31% > 5% for 10s", Reason: "error rate 33% > 5%"}}
	i.Timeline = []incident.Entry{{At: T0, Kind: "firing", Text: "error_rate: error rate 31% > 5% for 10s"}}
	return i
}

// Over is i, resolved a minute after its start.
func Over(i incident.Incident) incident.Incident {
	i.Phase, i.ResolvedAt = incident.Resolved, T0.Add(time.Minute)
	i.Timeline = append(i.Timeline, incident.Entry{At: i.ResolvedAt, Kind: "resolved", Text: "no rule is firing"})
	return i
}

// Teller is a receiver, for tests of the contract's own package, too.
type Teller interface {
	Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error)
}

// Tell notifies n of i, and fails the test if that fails.
func Tell(t *testing.T, n Teller, i incident.Incident, prev incident.Receipt) incident.Receipt {
	t.Helper()
	r, err := n.Notify(t.Context(), i, prev)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Running runs the outbox until the returned function is called.
func Running(t testing.TB, x interface{ Run(context.Context) error }) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := x.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

// Escalation is a configuration with contacts and the steps of an escalation.
func Escalation() *config.Config {
	return &config.Config{
		Contacts: []config.Contact{{Name: "on call", Phone: "1"}, {Name: "lead", Email: "lead@example.com"},
			{Name: "security", Slack: "#sec"}},
		Response: []config.Response{{Severity: incident.P1, Steps: []config.Step{
			{Receivers: []string{"pagerduty"}, Contacts: []string{"on call"}},
			{Receivers: []string{"mail"}, Contacts: []string{"lead"}},
			{Receivers: []string{"mail", "boss"}},
		}}},
	}
}

// Filling is an incident about a volume that no target is on, as Alertmanager sends it.
func Filling() incident.Incident {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return incident.Incident{
		ID: "01x", Target: incident.Target{Name: "not watched: KubePersistentVolumeFillingUp in shop",
			Namespace: "shop"}, Severity: incident.P2, Phase: incident.Escalated, Lead: "KubePersistentVolumeFillingUp",
		OpenedAt: at, Paged: true,
		Alerts: []incident.Alert{{
			Rule: "KubePersistentVolumeFillingUp", Severity: incident.P2, Firing: true, Verdict: incident.Breach,
			Reason: "PersistentVolume is filling up.", Was: "PersistentVolume is filling up.", ActiveAt: at,
			Labels: map[string]string{"alertname": "KubePersistentVolumeFillingUp", "severity": "warning",
				"namespace": "shop", "persistentvolumeclaim": "data-cart-db-0"},
			Annotations: map[string]string{"summary": "PersistentVolume is filling up.",
				"description": "data-cart-db-0 in shop is only 2.1% free.",
				"runbook_url": "https://runbooks.example/filling", "dashboard": "javascript:alert(1)"},
			Link: "http://prometheus.example/graph?g0.expr=x",
		}},
	}
}

// JSON is a message as JSON, with its markup as it is.
func JSON(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// SaysItsObject holds X71: which volume, what is wrong with it, and the links that the
// rule's author gave; none of them to a script.
func SaysItsObject(t *testing.T, text string) {
	t.Helper()
	for _, want := range []string{"data-cart-db-0", "only 2.1% free",
		"https://runbooks.example/filling", "http://prometheus.example/graph?g0.expr=x"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "<javascript:") {
		t.Error("it has a link to a script")
	}
}

// SaysNoEmptyWorkload holds X80: such an incident has no kind and no name.
func SaysNoEmptyWorkload(t *testing.T, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"shop//", `"//"`, " // "} {
		if strings.Contains(string(b), bad) {
			t.Errorf("%q is said: %s", bad, b)
		}
	}
}

// Outage is an escalated incident whose texts contain what the formats of receivers treat specially.
func Outage() incident.Incident {
	at := time.Date(2026, 3, 6, 1, 15, 0, 0, time.UTC)
	return incident.Incident{ID: "01aaa", Target: incident.Target{Name: "cart", Namespace: "shop", Kind: "deployment",
		Workload: "cart"}, Phase: incident.Escalated, Severity: incident.P1, Lead: "errors", Paged: true,
		PageReason: "the ladder reached page", OpenedAt: at,
		Alerts: []incident.Alert{{Rule: "errors", Severity: incident.P1, Firing: true,
			Reason: `12% "failed" <!channel>` + "\n\x1b[31m", ActiveAt: at},
			{Rule: "slow", Severity: incident.P2, Reason: "well", ActiveAt: at, EvaluatedAt: at.Add(time.Minute)}}}
}
