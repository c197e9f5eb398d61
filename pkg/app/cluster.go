package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/disk"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/redact"
	"watchdog.io/watchdog/pkg/remediate"
)

// cluster is the engine's view of pkg/kube.
type cluster struct {
	reader *kube.Reader
	writer *kube.Writer
	dir    string // evidence
	known  *redact.Known
}

func newCluster(a *App) *cluster {
	return &cluster{reader: kube.NewReader(a.client), writer: kube.NewWriter(a.client, a.o.Namespace), dir: filepath.Join(a.o.DataDir, "evidence"), known: a.o.Secrets}
}

func (c *cluster) Workload(ctx context.Context, t incident.Target, service string) (remediate.Workload, error) {
	return c.reader.Workload(ctx, t, service)
}

func (c *cluster) References(ctx context.Context, namespace string, refs []remediate.Reference) []remediate.Reference {
	return c.reader.References(ctx, namespace, refs)
}

func (c *cluster) Write(ctx context.Context, opID string, plan incident.Plan) (incident.Outcome, error) {
	return c.writer.Write(ctx, opID, plan)
}

func (c *cluster) Find(ctx context.Context, opID string, plan incident.Plan) (bool, error) {
	return c.writer.Find(ctx, opID, plan)
}

func (c *cluster) Job(ctx context.Context, o incident.Object) (incident.Rollout, error) {
	return c.reader.Job(ctx, o)
}

// keepEvidence is how many bundles stay in the data directory.
const keepEvidence = 50

// Capture writes an evidence bundle into the data directory, redacted, one file
// per thing captured, readable by this account only (SEC-22).
func (c *cluster) Capture(ctx context.Context, t incident.Target, name string) (ref, gap string, err error) {
	patterns := redact.Patterns()
	b, err := c.reader.Capture(ctx, t, kube.CaptureOptions{Redact: func(b []byte) []byte { return []byte(c.known.Text(patterns(string(b)))) }})
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(c.dir, name)
	if err := errors.Join(disk.Private(c.dir), disk.Private(dir)); err != nil {
		return "", "", fmt.Errorf("store evidence: %w", err)
	}
	size := 0
	for file, content := range b.Files {
		size += len(content)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o600); err != nil {
			return "", "", fmt.Errorf("store evidence: %w", err)
		}
	}
	c.prune()
	return fmt.Sprintf("evidence/%s (%d files, %d KiB)", name, len(b.Files), (size+1023)/1024), strings.Join(b.Gaps, "; "), nil
}

// prune keeps the newest bundles; names begin with a time-ordered id.
func (c *cluster) prune() {
	all, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, e := range all[:max(0, len(all)-keepEvidence)] {
		_ = os.RemoveAll(filepath.Join(c.dir, e.Name()))
	}
}

// workload adapts the watcher to the kubernetes probe.
func (a *App) workload(namespace, kind, name string) (probes.Workload, error) {
	s, err := a.watcher.State(namespace, kind, name)
	if err != nil {
		return probes.Workload{}, err
	}
	w := probes.Workload{
		Desired: s.Desired, Ready: s.Ready, Updated: s.Updated, Unavailable: s.Unavailable, RolloutInProgress: s.RolloutInProgress, Restarts: s.Restarts,
		Waiting: s.Waiting, NewestWaiting: s.NewestWaiting, EndpointsReady: s.EndpointsReady, HasEndpoints: s.HasEndpoints,
		PodRestarts: s.PodRestarts, Stalled: s.NoProgress, ObservedAt: a.clock.Now().Add(-time.Since(s.ObservedAt)),
	}
	for _, u := range s.Usage {
		w.Usage = append(w.Usage, probes.Usage(u))
	}
	w.ScaledBy = s.ScaledBy
	if s.HPA != nil {
		w.HPA = &probes.HPA{Min: s.HPA.Min, Max: s.HPA.Max, Current: s.HPA.Current}
	}
	return w, nil
}

// engineStore adapts the custom-resource store to the engine's own words.
type engineStore struct {
	*kube.Store
	reached func() // it answered
	tip     func() audit.Tip
	clean   func(incident.Incident) incident.Incident // hides secrets
}

func (s engineStore) Incidents(ctx context.Context) ([]engine.Stored, error) {
	all, err := s.Store.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]engine.Stored, 0, len(all))
	for _, x := range all {
		out = append(out, engine.Stored{Incident: x.Incident, Version: x.Version, Newer: x.Newer})
	}
	return out, nil
}

func (s engineStore) SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error) {
	v, err := s.Store.SaveIncident(ctx, s.clean(inc), version)
	return v, conflict(err)
}

// SwapLedger notes in the ledger, too, how far the audit record has come: each op's
// records are so anchored outside their folder, without a request of their own.
func (s engineStore) SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error) {
	if tip := s.tip(); tip.Seq > 0 {
		l = l.WithAnchor(tip.Log, incident.Anchor{Seq: tip.Seq, Hash: tip.Hash, Key: tip.Key, At: time.Now().UTC().Truncate(time.Second)})
	}
	v, err := s.Store.SwapLedger(ctx, l, version)
	return v, conflict(err)
}

func (s engineStore) SwapRecords(ctx context.Context, namespace string, records map[string][]remediate.Record, version string) (string, error) {
	v, err := s.Store.SwapRecords(ctx, namespace, records, version)
	return v, conflict(err)
}

func (s engineStore) Ledger(ctx context.Context) (incident.Ledger, string, error) {
	l, version, err := s.Store.Ledger(ctx)
	if err == nil {
		s.reached()
	}
	if errors.Is(err, kube.ErrNewer) {
		err = fmt.Errorf("%w: %w", engine.ErrNewer, err)
	}
	return l, version, err
}

func conflict(err error) error {
	if errors.Is(err, kube.ErrConflict) {
		return engine.ErrConflict
	}
	return err
}
