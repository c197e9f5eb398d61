package app

import (
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/redact"
)

// secretsEvery is how soon a secret that was rotated is known.
const secretsEvery = 5 * time.Second

// ownToken is the token of watchdog's own account, as the kubelet mounts it.
const ownToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// readSecrets makes the secrets known that are to be in nothing which leaves the process:
// the other side of a connection may send back what it was sent.
func (a *App) readSecrets(cfg *config.Config) {
	a.o.Secrets.Read(append(slices.Sorted(maps.Values(cfg.SecretFiles())), a.o.AuditKeys, ownToken)...)
	a.o.Secrets.Add(cfg.InlinedSecrets()...)
}

// cleanView hides secrets in what others say, before the engine sees it: what it decides on
// is then what is recorded. It is done at each look, so it makes nothing where there is
// nothing to hide.
func (a *App) cleanView(v *engine.Snapshot) {
	hide := a.o.Secrets.Text
	for i := range v.Alerts {
		x := &v.Alerts[i]
		x.Reason, x.Was, x.Link = hide(x.Reason), hide(x.Was), hide(x.Link)
		x.Labels, x.Annotations = cleanTexts(x.Labels, hide), cleanTexts(x.Annotations, hide)
	}
	for i := range v.Signals {
		v.Signals[i].Detail = hide(v.Signals[i].Detail)
	}
}

// cleanTexts returns the texts without secrets; a map in which there are none is returned as
// it is, and no other is changed.
func cleanTexts(texts map[string]string, hide func(string) string) map[string]string {
	copied := false
	for k, v := range texts {
		clean := hide(v)
		if clean == v {
			continue
		}
		if !copied {
			texts, copied = maps.Clone(texts), true
		}
		texts[k] = clean
	}
	return texts
}

// noted appends to the audit record.
func (a *App) noted(r audit.Record) error {
	_, err := a.log.Append(redact.Value(a.o.Secrets, r))
	return err
}

// clean is the incident as it is stored and told.
func (a *App) clean(i incident.Incident) incident.Incident { return redact.Value(a.o.Secrets, i) }
