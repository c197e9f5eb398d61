package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"watchdog.io/watchdog/pkg/incident"
)

const leasePath = "/apis/coordination.k8s.io/v1/namespaces/watchdog/leases/watchdog"

func holder(a *api) string {
	s, _ := a.get(leasePath)["spec"].(map[string]any)
	h, _ := s["holderIdentity"].(string)
	return h
}

func TestTheLeaseIsGivenUpOnlyAfterTheWorkHasEnded(t *testing.T) {
	a, c := newAPI(t)
	plan := cart(a)
	w := NewWriter(c, "watchdog")
	ctx, cancel := context.WithCancel(t.Context())
	leaders := make(chan string, 10)
	started, ended := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- Lead(ctx, c, LeadOptions{Namespace: "watchdog", Identity: "me",
			NewLeader: func(id string) { leaders <- id }}, func(ctx context.Context) {
			close(started)
			<-ctx.Done()
			if h := holder(a); h != "me" {
				t.Errorf("the lease is held by %q while work goes on", h)
			}
			// The last op is still written: the context of the work has ended, the lease has not.
			if outcome, err := w.Write(context.WithoutCancel(ctx), "op1", plan); outcome != incident.Applied {
				t.Errorf("the leader may not write: %s, %v", outcome, err)
			}
			close(ended)
		})
	}()
	<-started
	if id := <-leaders; id != "me" {
		t.Errorf("%q leads", id)
	}
	if id, err := c.Leader(t.Context(), "watchdog"); id != "me" || err != nil {
		t.Errorf("Leader: %q, %v", id, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-ended
	if h := holder(a); h != "" {
		t.Errorf("the lease is still held by %q", h)
	}
	if id, err := c.Leader(t.Context(), "watchdog"); !strings.HasPrefix(id, "none") || err != nil {
		t.Errorf("Leader: %q, %v", id, err)
	}
	if outcome, _ := w.Write(t.Context(), "op2", plan); outcome != incident.Unsent {
		t.Errorf("written without a lease: %s", outcome)
	}
}

func TestAFollowerWritesNothing(t *testing.T) {
	a, c := newAPI(t)
	plan := cart(a)
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	a.put(leasePath, `{"metadata":{"name":"watchdog","namespace":"watchdog"},"spec":{"holderIdentity":"other",`+
		`"leaseDurationSeconds":15,"renewTime":"`+now+`","acquireTime":"`+now+`"}}`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	known := make(chan string, 1)
	go func() {
		done <- Lead(ctx, c, LeadOptions{Namespace: "watchdog", Identity: "me",
			NewLeader: func(id string) { known <- id }}, func(context.Context) { t.Error("works without the lease") })
	}()
	if id := <-known; id != "other" {
		t.Errorf("%q leads", id)
	}
	if outcome, err := NewWriter(c, "w").Write(t.Context(), "op1", plan); outcome != incident.Unsent ||
		!errors.Is(err, ErrFenced) {
		t.Errorf("got %s, %v", outcome, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if h := holder(a); h != "other" {
		t.Errorf("the lease of another was given up: %q holds it", h)
	}
}

// memoryLock is a lease whose renewals can be made to take long, or to fail.
type memoryLock struct {
	record resourcelock.LeaderElectionRecord
	takes  time.Duration
	err    error
}

func (m *memoryLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	r := m.record
	return &r, nil, m.err
}
func (m *memoryLock) Create(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	return m.Update(context.Background(), r)
}
func (m *memoryLock) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	time.Sleep(m.takes)
	if m.err == nil {
		m.record = r
	}
	return m.err
}
func (m *memoryLock) RecordEvent(string) {}
func (m *memoryLock) Identity() string   { return "me" }
func (m *memoryLock) Describe() string   { return "memory" }

func TestTheFenceClosesTheRenewDeadlineAfterTheRenewalWasSent(t *testing.T) { // INV-05
	synctest.Test(t, func(t *testing.T) {
		m, f := &memoryLock{}, &fence{}
		f.extend(time.Time{})
		l := &guardedLock{Interface: m, fence: f, deadline: 10 * time.Second}
		mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
		if f.open() {
			t.Fatal("open without a lease")
		}
		m.takes = 4 * time.Second
		if err := l.Update(t.Context(), mine); err != nil || !f.open() {
			t.Fatal("closed after a renewal", err)
		}
		// The renewal took 4s: 6s are left, not 10s.
		m.takes, m.err = 5*time.Second, errors.New("no answer")
		if err := l.Update(t.Context(), mine); err == nil || !f.open() {
			t.Fatal("closed too early")
		}
		time.Sleep(time.Second)
		if f.open() {
			t.Fatal("open after the renew deadline")
		}
		m.err, m.takes = nil, 0
		m.record.HolderIdentity = "other"
		if _, _, err := l.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{}); err == nil ||
			m.record.HolderIdentity != "other" {
			t.Errorf("gave up the lease of another: %+v", m.record)
		}
	})
}
