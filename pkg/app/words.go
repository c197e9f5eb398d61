package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/hear"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/people"
	"watchdog.io/watchdog/pkg/strutil"
)

// hears is what a configuration says of how people's words come.
type hears struct {
	slack     *hear.SlackSettings
	pagerDuty *hear.PagerDutySettings
	api       *config.API
}

func newHears(cfg *config.Config) hears {
	h := hears{api: cfg.API}
	if s := cfg.Receivers.Slack; s != nil && s.Interaction != nil {
		h.slack = &hear.SlackSettings{URL: slashed(s.URL), Token: hear.Secrets(s.TokenFile), Users: persons(s.Interaction.Users)}
		if f := s.Interaction.SigningSecretFile; f != "" {
			h.slack.SigningSecret = hear.Secrets(f)
		}
		if f := s.Interaction.AppTokenFile; f != "" {
			h.slack.AppToken = hear.Secrets(f)
		}
	}
	if p := cfg.Receivers.PagerDuty; p != nil && p.Webhook != nil {
		h.pagerDuty = &hear.PagerDutySettings{Secrets: hear.Secrets(p.Webhook.SecretFiles...), Users: persons(p.Webhook.Users), Anybody: p.Webhook.Acknowledge == "anybody"}
	}
	return h
}

// check reads every secret once: one that is missing is an error now, not when
// somebody clicks.
func (h hears) check() error {
	var errs []error
	read := func(what string, secret func() ([]string, error)) {
		if secret == nil {
			return
		}
		if _, err := secret(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if h.slack != nil {
		read("receivers.slack.interaction.signing_secret_file", h.slack.SigningSecret)
		read("receivers.slack.interaction.app_token_file", h.slack.AppToken)
	}
	if h.pagerDuty != nil {
		read("receivers.pagerduty.webhook.secret_files", h.pagerDuty.Secrets)
	}
	return errors.Join(errs...)
}

func slashed(url string) string {
	if url != "" && url[len(url)-1] != '/' {
		return url + "/"
	}
	return url
}

// persons are people as the API server would know them if they had logged in.
func persons(all []config.Person) map[string]people.Person {
	m := map[string]people.Person{}
	for _, p := range all {
		m[p.ID] = people.Person{Name: p.User, Groups: append([]string{"system:authenticated"}, p.Groups...)}
	}
	return m
}

// openDesk makes the desk, on every replica. What it writes are people's words, so it
// has a client of its own: no lease guards it, as none guards the command line, and a
// flood of words takes nothing from the daemon's share of requests.
func (a *App) openDesk() error {
	client, err := kube.Connect(a.o.Kubeconfig, "")
	if err != nil {
		return err
	}
	store := kube.NewStore(client, a.o.Namespace)
	a.stored.list = func(ctx context.Context) ([]incident.Incident, error) {
		stored, err := store.Incidents(ctx)
		var all []incident.Incident
		for _, s := range stored {
			if !s.Newer {
				all = append(all, s.Incident)
			}
		}
		return all, err
	}
	a.access = kube.NewAccess(client, a.o.Namespace, a.clock.Now)
	f := promauto.With(a.registry)
	words := f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "words_total", Help: "People's words by the way they came (slack, pagerduty, api), what was said, and what became of them: taken, refused, forbidden, failed."}, []string{"via", "verb", "outcome"})
	socket := f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "slack_socket_connected", Help: "1 while clicks in Slack are heard by Socket Mode."})
	logger := a.o.Logger.With("component", "desk")
	a.desk = people.NewDesk(people.DeskOptions{
		Incidents: a.stored.list,
		Ledger:    store.Ledger,
		Say:       store.Say,
		Hold: func(ctx context.Context, t incident.Target, reason, by string) error {
			err := client.HoldTarget(ctx, t.Namespace, t.Kind, t.Workload, reason, by, time.Time{})
			if kube.Forbidden(err) {
				// It never acts there itself, so it has no right to mark the workload.
				return &people.Refused{Reason: fmt.Sprintf("watchdog may not mark %s (chart value actions); use `watchdog hold %s/%s`", t, t.Namespace, t.Workload)}
			}
			return err
		},
		May: func(ctx context.Context, p people.Person, right string) error { return a.access.May(ctx, p, right) },
		Record: func(h people.Heard) error {
			logger.Info("heard", "via", h.Word.Via, "by", h.Word.By, "verb", h.Word.Verb, "incident", h.Word.Incident, "outcome", h.Outcome, "text", h.Text)
			err := a.noted(heard(h))
			if err != nil {
				logger.Error("what a person said is not on record", "err", err)
			}
			return err
		},
		Count: func(via string, verb people.Verb, outcome string) {
			words.WithLabelValues(via, string(verb), outcome).Inc()
		},
		Now: a.clock.Now,
	})
	a.slack = hear.NewSlack(hear.SlackOptions{
		Logger: a.o.Logger.With("component", "slack"), Desk: a.desk, Now: a.clock.Now,
		Settings: func() *hear.SlackSettings { return a.built.Load().hears.slack },
		Connected: func(yes bool) {
			socket.Set(map[bool]float64{true: 1}[yes])
		},
	})
	return nil
}

// heard is a word as it stands on record, refused or not.
func heard(h people.Heard) audit.Record {
	// What was said is data: texts and hashes, all bounded.
	data, err := json.Marshal(map[string]any{"via": h.Word.Via, "verb": h.Word.Verb, "outcome": h.Outcome, "reason": strutil.Cut(h.Word.Reason, maxText), "op": strutil.Cut(h.Word.Op, maxText), "to": h.Word.To, "as": h.Word.As})
	if err != nil {
		data = nil
	}
	return audit.Record{At: h.Word.At, Kind: "word", Incident: strutil.Cut(h.Word.Incident, maxText), Op: strutil.Cut(h.Word.Op, maxText), Target: h.Target, Actor: strutil.Cut(h.Word.By, maxText), Plan: strutil.Cut(h.Word.Plan, maxText), Text: strutil.Cut(h.Text, maxText), Data: data}
}

// ears are the pages by which words come.
func (a *App) ears() map[string]http.Handler {
	logger := a.o.Logger.With("component", "words")
	all := hear.API(hear.APIOptions{
		Logger: logger, Desk: a.desk,
		Who: func(ctx context.Context, token string) (people.Person, error) {
			return a.access.Who(ctx, token, a.built.Load().hears.api.Audiences)
		},
		Unknown: func(err error) bool { return errors.Is(err, kube.ErrUnknown) },
		On:      func() bool { return a.built.Load().hears.api.Control },
	})
	all["POST "+hear.SlackPath] = a.slack
	all["POST "+hear.PagerDutyPath] = hear.PagerDuty(hear.PagerDutyOptions{
		Logger: logger, Desk: a.desk, Now: a.clock.Now,
		Settings: func() *hear.PagerDutySettings { return a.built.Load().hears.pagerDuty },
	})
	return all
}

// maxText bounds a text that somebody else wrote, in bytes.
const maxText = 300
