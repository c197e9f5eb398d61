package kube

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/incident"
)

func leaseLabel(a *api) any {
	meta, _ := a.get(leasePath)["metadata"].(map[string]any)
	l, _ := meta["labels"].(map[string]any)
	return l[InstallationLabel]
}

func heldLease(labels string) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	return `{"metadata":{"name":"watchdog","namespace":"watchdog"` + labels +
		`},"spec":{"holderIdentity":"","leaseDurationSeconds":1,"renewTime":"` + now + `","acquireTime":"` + now + `"}}`
}

// The second of two releases in one namespace never worked, and nobody was told.
func TestASecondInstallationInANamespaceSaysSo_X52(t *testing.T) {
	a, c := newAPI(t)
	a.put(leasePath, heldLease(`,"labels":{"watchdog.io/installation":"first"}`))
	ctx, cancel := context.WithCancel(t.Context())
	occupied := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		done <- Lead(ctx, c, LeadOptions{Namespace: "watchdog", Identity: "me", Installation: "second",
			Occupied: func(by string) { occupied <- by }, NewLeader: func(id string) { t.Errorf("%q leads", id) }},
			func(context.Context) { t.Error("it works on the state of another installation") })
	}()
	if by := <-occupied; by != "first" {
		t.Errorf("occupied by %q", by)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if leaseLabel(a) != "first" || len(a.mutations()) > 0 {
		t.Errorf("the lease is of %v; written: %v", leaseLabel(a), a.mutations())
	}
}

// A lease of a watchdog that did not know of installations is taken over by an
// upgrade, and the name is on it from then on.
func TestAnUpgradeTakesTheOldLease_X52(t *testing.T) {
	for name, labels := range map[string]string{"without a label": "",
		"with its own":                     `,"labels":{"watchdog.io/installation":"ours","team":"a"}`,
		"by somebody who does not compare": `,"labels":{"team":"a"}`} {
		t.Run(name, func(t *testing.T) {
			a, c := newAPI(t)
			a.put(leasePath, heldLease(labels))
			ctx, cancel := context.WithCancel(t.Context())
			leads := make(chan struct{})
			done := make(chan error, 1)
			go func() {
				done <- Lead(ctx, c, LeadOptions{Namespace: "watchdog", Identity: "me", Installation: "ours",
					Occupied: func(by string) {
						if by != "" {
							t.Errorf("occupied by %q", by)
						}
					}}, func(ctx context.Context) { close(leads); <-ctx.Done() })
			}()
			<-leads
			if leaseLabel(a) != "ours" {
				t.Errorf("the lease is of %v", leaseLabel(a))
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// An installation that is gone does not keep the namespace for ever; one whose pods
// are being replaced does.
func TestAnInstallationThatIsGoneIsSucceeded_X52(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1",
			Labels: map[string]string{InstallationLabel: "first"}}}
		o := &occupation{own: "second"}
		o.look(lease)
		time.Sleep(abandoned - time.Second)
		if o.look(lease); o.other() != "first" {
			t.Error("its pods are being replaced, and it counts as gone")
		}
		lease.ResourceVersion = "2"
		o.look(lease)
		time.Sleep(abandoned - time.Second)
		if o.look(lease); o.other() != "first" {
			t.Error("it was there a moment ago, and counts as gone")
		}
		time.Sleep(time.Second)
		if o.look(lease); o.other() != "" {
			t.Error("it is gone and keeps the namespace")
		}
	})
}

// What is wrong with watchdog itself stands where `kubectl describe` shows it.
func TestAnEventOnItsOwnDeploymentHasItsUID_A5(t *testing.T) {
	a, c := newAPI(t)
	a.put("/apis/apps/v1/namespaces/ops/deployments/wd",
		`{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"wd","namespace":"ops","uid":"u-1"}}`)
	arrived := make(chan []byte, 1)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		arrived <- body
		reply(w, http.StatusCreated, map[string]any{"apiVersion": "v1", "kind": "Event"})
		return true
	}
	self := incident.Target{Name: incident.Self, Namespace: "ops", Kind: "deployment", Workload: "wd"}
	own := incident.New("01own", incident.Target{Name: incident.Self}, time.Now())
	NewEvents(c, discard(), self).Tell(own, incident.Entry{At: time.Now(), Kind: "firing",
		Text: "config_refused: reload failed"})
	var ev struct {
		Type, Message  string
		InvolvedObject map[string]string
	}
	if err := json.Unmarshal(<-arrived, &ev); err != nil {
		t.Fatal(err)
	}
	if ev.Type != "Warning" || ev.InvolvedObject["name"] != "wd" || ev.InvolvedObject["uid"] != "u-1" ||
		!strings.Contains(ev.Message, "refused") {
		t.Errorf("%+v", ev)
	}
}
