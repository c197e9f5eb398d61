package kube

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// leaseName is the Lease that the leader holds in watchdog's namespace.
const leaseName = "watchdog"

// addressMark stands between a replica's name and its address in the lease.
const addressMark = "@"

// Identity is how a replica is called in the lease: its name and, if it has one,
// the URL at which others reach it.
func Identity(name, address string) string {
	if address == "" {
		return name
	}
	return name + addressMark + address
}

// Replica takes an identity apart.
func Replica(identity string) (name, address string) {
	name, address, _ = strings.Cut(identity, addressMark)
	return name, address
}

// LeadOptions say how to stand for leader.
type LeadOptions struct {
	// Namespace of the lease, and Identity of this replica in it.
	Namespace string
	Identity  string
	// LeaseDuration is how long followers wait before they take over (default
	// 15s), RenewDeadline how long after the last renewal the leader may act
	// (default 10s), RetryPeriod the pause between tries (default 2s).
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	RetryPeriod   time.Duration
	// Installation names the release that this replica belongs to. While the lease
	// belongs to another one, this replica does not stand for it: two installations
	// in one namespace would share one ledger and its incidents. Empty: not compared.
	Installation string
	// Occupied receives which other installation the lease belongs to, and "" once it
	// does no more. Optional.
	Occupied func(installation string)
	// NewLeader receives who leads, this replica included. Optional.
	NewLeader func(identity string)
	Logger    *slog.Logger
}

// Lead stands for leader until ctx ends, and calls work while this replica
// leads; work's context ends when the lease is lost or ctx ends. The lease is
// given up only after work has returned. While this replica does not lead, or
// is not sure to, the client refuses mutating requests (INV-05).
func Lead(ctx context.Context, c *Client, o LeadOptions, work func(ctx context.Context)) error {
	o.LeaseDuration, o.RenewDeadline, o.RetryPeriod = cmp.Or(o.LeaseDuration, 15*time.Second), cmp.Or(o.RenewDeadline,
		10*time.Second), cmp.Or(o.RetryPeriod, 2*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c.Fence(ctx)
	for ctx.Err() == nil {
		if err := c.term(ctx, o, work); err != nil {
			return fmt.Errorf("leader election as %s with lease %s/%s: %w", o.Identity, o.Namespace, leaseName, err)
		}
	}
	return nil
}

// term is one candidacy, and one leadership if it succeeds.
type term struct {
	mu     sync.Mutex
	ending bool
	done   chan struct{} // closed when work has returned; nil before it starts
}

func (c *Client) term(ctx context.Context, o LeadOptions, work func(ctx context.Context)) error {
	// The election outlives ctx until work has returned, and is ended by stop.
	election, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	t := &term{}
	defer context.AfterFunc(ctx, func() { t.drain(); stop() })()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: leaseName, Lock: c.lock(o), ReleaseOnCancel: true,
		LeaseDuration: o.LeaseDuration, RenewDeadline: o.RenewDeadline, RetryPeriod: o.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				defer stop()
				o.Logger.Info("This replica is the leader", "identity", o.Identity)
				t.run(ctx, leading, work)
			},
			OnStoppedLeading: func() { c.Fence(ctx) },
			OnNewLeader: func(id string) {
				if o.NewLeader != nil {
					o.NewLeader(id)
				}
			},
		},
	})
	if err != nil {
		return err
	}
	elector.Run(election)
	if ctx.Err() == nil {
		o.Logger.Warn("This replica lost leadership", "identity", o.Identity)
	}
	t.drain()
	return nil
}

// run calls work unless the term is ending already.
func (t *term) run(ctx, leading context.Context, work func(context.Context)) {
	t.mu.Lock()
	if t.ending {
		t.mu.Unlock()
		return
	}
	t.done = make(chan struct{})
	t.mu.Unlock()
	defer close(t.done)
	leading, cancel := context.WithCancel(leading)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	work(leading)
}

// drain starts no more work and waits for the work in progress.
func (t *term) drain() {
	t.mu.Lock()
	t.ending = true
	done := t.done
	t.mu.Unlock()
	if done != nil {
		<-done
	}
}

func (c *Client) lock(o LeadOptions) resourcelock.Interface {
	by := &occupation{own: o.Installation, report: o.Occupied}
	return &guardedLock{
		Interface: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: leaseName}, Client: observed{c.leases, by.look},
			LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity}, Labels: by.labels(),
		},
		fence: c.fence, deadline: o.RenewDeadline, by: by, retry: o.RetryPeriod,
	}
}

// Lease returns who holds the leader lease ("" for nobody) and when it was renewed
// last, by the holder's clock: only that it changes tells that somebody leads.
func (c *Client) Lease(ctx context.Context, namespace string) (holder string, renewed time.Time, err error) {
	l, err := c.leases.Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	if err != nil {
		return "", time.Time{}, explain(request{"get", "leases.coordination.k8s.io", namespace, leaseName}, err)
	}
	if l.Spec.HolderIdentity != nil {
		holder = *l.Spec.HolderIdentity
	}
	if l.Spec.RenewTime != nil {
		renewed = l.Spec.RenewTime.Time
	}
	return holder, renewed, nil
}

// Leader returns the name of the leading replica, or "none" and why.
func (c *Client) Leader(ctx context.Context, namespace string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	l, err := c.leases.Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	if err != nil {
		return "", explain(request{"get", "leases.coordination.k8s.io", namespace, leaseName}, err)
	}
	s := l.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" {
		return "none: the lease is free", nil
	}
	holder, _ := Replica(*s.HolderIdentity)
	if s.RenewTime != nil && s.LeaseDurationSeconds != nil {
		if ends := s.RenewTime.Add(time.Duration(*s.LeaseDurationSeconds) * time.Second); time.Now().After(ends) {
			return fmt.Sprintf("none: the lease of %s expired %s", holder, ends.UTC().Format(time.RFC3339)), nil
		}
	}
	return holder, nil
}
