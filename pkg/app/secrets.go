package app

import (
	"context"
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
	a.o.Secrets.Read(a.secretFiles(cfg)...)
	a.o.Secrets.Add(cfg.InlinedSecrets()...)
}

// secretFiles are the files that hold secrets, each once.
func (a *App) secretFiles(cfg *config.Config) []string {
	return append(slices.Compact(slices.Sorted(maps.Values(cfg.SecretFiles()))), a.o.AuditKeys, ownToken)
}

// rereadSecrets reads again the secrets of the configuration in use. Which files hold them is
// known: to look through ten thousand targets for them each time would take a fifth of the CPU.
func (a *App) rereadSecrets(context.Context) { a.o.Secrets.Read(a.built.Load().secretFiles()...) }
