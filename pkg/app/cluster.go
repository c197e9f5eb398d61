package app

import (
	"context"
	"path/filepath"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/evidence"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
)

// cluster is what the engine reads, captures and writes: [engine.Cluster].
type cluster struct {
	*kube.Reader
	*kube.Writer
	*evidence.Folder
}

func newCluster(a *App) cluster {
	r := kube.NewReader(a.client)
	return cluster{r, kube.NewWriter(a.client, a.o.Namespace), evidence.New(filepath.Join(a.o.DataDir, "evidence"), r, a.o.Secrets)}
}

// engineStore is the store of custom resources with what belongs to each write: no secret
// is stored, and the ledger notes how far the audit record has come.
type engineStore struct {
	*kube.Store
	reached func() // it answered
	tip     func() audit.Tip
	clean   func(incident.Incident) incident.Incident // hides secrets
}

func (s engineStore) SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error) {
	return s.Store.SaveIncident(ctx, s.clean(inc), version)
}

// SwapLedger notes in the ledger, too, how far the audit record has come: each op's
// records are so anchored outside their folder, without a request of their own.
func (s engineStore) SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error) {
	if tip := s.tip(); tip.Seq > 0 {
		l = l.WithAnchor(tip.Log, incident.Anchor{Seq: tip.Seq, Hash: tip.Hash, Key: tip.Key, At: time.Now().UTC().Truncate(time.Second)})
	}
	return s.Store.SwapLedger(ctx, l, version)
}

func (s engineStore) Ledger(ctx context.Context) (incident.Ledger, string, error) {
	l, version, err := s.Store.Ledger(ctx)
	if err == nil {
		s.reached()
	}
	return l, version, err
}
