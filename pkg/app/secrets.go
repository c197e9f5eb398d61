package app

import (
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/config"
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

// noted appends to the audit record.
func (a *App) noted(r audit.Record) error {
	_, err := a.log.Append(redact.Value(a.o.Secrets, r))
	return err
}

// clean is the incident as it is stored and told.
func (a *App) clean(i incident.Incident) incident.Incident { return redact.Value(a.o.Secrets, i) }
