package app

import (
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/config"
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
