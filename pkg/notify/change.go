package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// Change is a rollout of a watched workload, whoever made it.
type Change struct {
	Target   incident.Target
	Revision int64
	Images   []string
	Cause    string // kubernetes.io/change-cause
	At       time.Time
}

// String is the change in one line.
func (c Change) String() string {
	s := fmt.Sprintf("%s: revision %d", c.Target, c.Revision)
	if len(c.Images) > 0 {
		s += ": " + strings.Join(c.Images, ", ")
	}
	if c.Cause != "" {
		s += " (" + c.Cause + ")"
	}
	return strutil.Visible(s)
}

// changeTaker is a receiver that wants to hear of changes.
type changeTaker interface {
	Notifier
	takesChanges() bool
	changed(ctx context.Context, c Change) error
}

// Limits of telling of changes: nobody waits for it, and no page waits behind it.
const (
	maxChanges  = 64
	changeTries = 3
)

// Changed passes a change on to the receivers that want it, as well as it can: what
// is too much, or cannot be told soon, is left out. It never blocks.
func (x *Outbox) Changed(c Change) {
	select {
	case x.changes <- c:
	default:
		x.o.Logger.Warn("a change is not told: too many wait", "change", c.String())
	}
}

func (x *Outbox) tellChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-x.changes:
			for _, t := range x.changeTakers() {
				x.tellChange(ctx, t, c)
			}
		}
	}
}

func (x *Outbox) changeTakers() []changeTaker {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []changeTaker
	for _, l := range x.lanes {
		l.mu.Lock()
		if t, ok := l.notifier.(changeTaker); ok && t.takesChanges() {
			all = append(all, t)
		}
		l.mu.Unlock()
	}
	return all
}

func (x *Outbox) tellChange(ctx context.Context, t changeTaker, c Change) {
	var err error
	for n := range changeTries {
		once, cancel := context.WithTimeout(ctx, attemptTimeout)
		err = t.changed(once, c)
		cancel()
		var f *Failure
		if err == nil || errors.As(err, &f) && f.Final {
			break
		}
		wait := time.NewTimer(pause(nil, n+1))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
	if err != nil {
		x.o.Logger.Warn("a change is not told", "receiver", t.Name(), "change", c.String(), "err", err)
	}
}

var _ changeTaker = (*pagerDuty)(nil)

func (p *pagerDuty) takesChanges() bool { return p.changes }

// changed sends a change event: it is shown beside incidents and pages nobody.
func (p *pagerDuty) changed(ctx context.Context, c Change) error {
	key, err := p.key.read()
	if err != nil {
		return err
	}
	details := map[string]any{"revision": c.Revision, "namespace": c.Target.Namespace, "workload": c.Target.Workload}
	if len(c.Images) > 0 {
		details["images"] = strutil.Shorten(strings.Join(c.Images, ", "), maxDetail)
	}
	if c.Cause != "" {
		details["cause"] = strutil.Shorten(strutil.Visible(c.Cause), maxDetail)
	}
	client, h := p.client()
	_, err = client.CreateChangeEventWithContext(ctx, pagerduty.ChangeEvent{RoutingKey: key, Payload: pagerduty.ChangeEventPayload{
		Summary: strutil.Shorten(c.String(), maxSummary), Source: c.Target.String(), Timestamp: c.At.UTC().Format("2006-01-02T15:04:05.000Z"), CustomDetails: details,
	}})
	if err != nil {
		return pagerDutyError("of a change of "+c.Target.String(), err, h).Failure
	}
	return nil
}
