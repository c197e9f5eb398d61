package inbound

import (
	"errors"
	"fmt"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/responder"
)

// Settings are the part of a configuration that this package uses.
type Settings struct {
	Slack     *SlackSettings     // nil: no buttons
	PagerDuty *PagerDutySettings // nil: no webhook
}

// NewSettings returns the settings of a configuration.
func NewSettings(cfg *config.Config) Settings {
	var all Settings
	if s := cfg.Receivers.Slack; s != nil && s.Interaction != nil {
		all.Slack = &SlackSettings{URL: slashed(s.URL), Token: Secrets(s.TokenFile), Users: persons(s.Interaction.Users)}
		if f := s.Interaction.SigningSecretFile; f != "" {
			all.Slack.SigningSecret = Secrets(f)
		}
		if f := s.Interaction.AppTokenFile; f != "" {
			all.Slack.AppToken = Secrets(f)
		}
	}
	if p := cfg.Receivers.PagerDuty; p != nil && p.Webhook != nil {
		all.PagerDuty = &PagerDutySettings{Secrets: Secrets(p.Webhook.SecretFiles...),
			Users: persons(p.Webhook.Users), Anybody: p.Webhook.Acknowledge == "anybody"}
	}
	return all
}

// Check reads every secret once: one that is missing is an error now, not at the first click.
func (all Settings) Check() error {
	var errs []error
	read := func(what string, secret func() ([]string, error)) {
		if secret == nil {
			return
		}
		if _, err := secret(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if s := all.Slack; s != nil {
		read("receivers.slack.interaction.signing_secret_file", s.SigningSecret)
		read("receivers.slack.interaction.app_token_file", s.AppToken)
	}
	if p := all.PagerDuty; p != nil {
		read("receivers.pagerduty.webhook.secret_files", p.Secrets)
	}
	return errors.Join(errs...)
}

func slashed(url string) string {
	if url != "" && url[len(url)-1] != '/' {
		return url + "/"
	}
	return url
}

// persons are the configured users as the API server would know them if they had logged in.
func persons(all []config.Person) map[string]responder.Person {
	m := map[string]responder.Person{}
	for _, p := range all {
		m[p.ID] = responder.Person{Name: p.User, Groups: append([]string{"system:authenticated"}, p.Groups...)}
	}
	return m
}
