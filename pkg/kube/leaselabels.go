package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	coordinationv1api "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// InstallationLabel is the label of the lease that names the installation whose
// replicas stand for it. A lease without it is of an older watchdog, or of nobody.
const InstallationLabel = "watchdog.io/installation"

// abandoned is how long the lease of another installation must stay as it is until
// that installation counts as gone. It outlasts a rollout of the other.
const abandoned = 2 * time.Minute

// occupation is what the lease says of another installation in the same namespace.
// It is used by the elector's goroutine only.
type occupation struct {
	own     string
	seen    *coordinationv1api.Lease
	version string    // of the lease as it was seen to change
	since   time.Time // when that was
	report  func(other string)
	said    string
}

// look notes the lease as it was read.
func (o *occupation) look(l *coordinationv1api.Lease) {
	o.seen = l
	if o.version != l.ResourceVersion {
		o.version, o.since = l.ResourceVersion, time.Now()
	}
}

// other is the installation that the lease belongs to, if it is another one that is
// not gone.
func (o *occupation) other() string {
	if o == nil || o.own == "" || o.seen == nil {
		return ""
	}
	name := o.seen.Labels[InstallationLabel]
	if name == o.own || name != "" && time.Since(o.since) >= abandoned {
		return ""
	}
	return name
}

// tell reports a change.
func (o *occupation) tell(other string) {
	if o == nil || other == o.said {
		return
	}
	o.said = other
	if o.report != nil {
		o.report(other)
	}
}

// labels are put on the lease with each renewal.
func (o *occupation) labels() map[string]string {
	if o.own == "" {
		return nil
	}
	return map[string]string{InstallationLabel: o.own}
}

// Occupied is which other installation a namespace belongs to, as far as a replica knows.
type Occupied struct {
	log                     *slog.Logger
	namespace, installation string
	other                   atomic.Pointer[string]
}

// NewOccupied returns what an installation knows at its start: that the namespace is its own.
func NewOccupied(log *slog.Logger, namespace, installation string) *Occupied {
	return &Occupied{log: log, namespace: namespace, installation: installation}
}

// Take takes which other installation the namespace belongs to; "": none.
func (o *Occupied) Take(other string) {
	o.other.Store(&other)
	if other == "" {
		o.log.Info("the namespace no longer belongs to another installation")
		return
	}
	o.log.Error("this installation takes no actions", "reason", o.Why())
}

// Why says why this installation cannot work here; empty: it can. Two installations in one
// namespace would share one lease, one ledger and its incidents.
func (o *Occupied) Why() string {
	other := o.other.Load()
	if other == nil || *other == "" {
		return ""
	}
	return fmt.Sprintf("the namespace %s belongs to the watchdog installation %q: uninstall it, or install %q in a "+
		"namespace of its own", o.namespace, *other, o.installation)
}

// observed are leases whose reads are shown to an occupation.
type observed struct {
	coordinationv1.LeasesGetter
	look func(*coordinationv1api.Lease)
}

func (g observed) Leases(namespace string) coordinationv1.LeaseInterface {
	return observedLeases{g.LeasesGetter.Leases(namespace), g.look}
}

type observedLeases struct {
	coordinationv1.LeaseInterface
	look func(*coordinationv1api.Lease)
}

func (l observedLeases) Get(ctx context.Context, name string, o metav1.GetOptions) (*coordinationv1api.Lease, error) {
	lease, err := l.LeaseInterface.Get(ctx, name, o)
	if err == nil {
		l.look(lease)
	}
	return lease, err
}
