package notify

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/incident"
)

// DriftEvery is how often the public page is read back.
const DriftEvery = 2 * time.Minute

// DriftWatch compares the public page with what is measured, for whoever leads.
type DriftWatch struct {
	drift *prometheus.GaugeVec
}

// NewDriftWatch returns a watch that has not looked yet.
func NewDriftWatch(r prometheus.Registerer) *DriftWatch {
	return &DriftWatch{promauto.With(r).NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "watchdog", Name: "statuspage_drift",
		Help: "1 while the status page has differed from the measured state of a component for more than 5 minutes.",
	}, []string{"component"})}
}

// Reset forgets what was found: another replica looks.
func (w *DriftWatch) Reset() { w.drift.Reset() }

// Look says in one line where the public page drifts; empty: nowhere. After an error what
// was known stays: it can neither be confirmed nor taken back.
func (w *DriftWatch) Look(ctx context.Context, all []Notifier, incidents []incident.Incident) (string, error) {
	var texts []string
	for _, n := range all {
		d, ok := n.(Drifter)
		if !ok {
			continue
		}
		drifts, err := d.Drifts(ctx, incidents)
		if err != nil {
			return "", err
		}
		for _, x := range drifts {
			texts = append(texts, x.Text)
		}
		w.note(d.Parts(), drifts)
	}
	return strings.Join(texts, "; "), nil
}

// note says of each component whether it drifts.
func (w *DriftWatch) note(parts []string, drifts []Drift) {
	for _, x := range drifts {
		if !slices.Contains(parts, x.Component) {
			parts = append(parts, x.Component) // of an earlier configuration
		}
	}
	for _, id := range parts {
		name := id
		if name == "" {
			name = "page"
		}
		v := 0.0
		if slices.ContainsFunc(drifts, func(x Drift) bool { return x.Component == id }) {
			v = 1
		}
		w.drift.WithLabelValues(name).Set(v)
	}
}
