package pagerduty

import (
	"context"
	"strings"

	"github.com/PagerDuty/go-pagerduty"

	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

var _ notify.ChangeTaker = (*PagerDuty)(nil)

// TakesChanges reports whether the configuration asks for change events.
func (p *PagerDuty) TakesChanges() bool { return p.changes }

// Changed sends a change event: it is shown beside incidents and pages nobody.
func (p *PagerDuty) Changed(ctx context.Context, c notify.Change) error {
	key, err := p.key.Reveal()
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
	client, h := p.client(key)
	_, err = client.CreateChangeEventWithContext(ctx, pagerduty.ChangeEvent{RoutingKey: key,
		Payload: pagerduty.ChangeEventPayload{
			Summary: strutil.Shorten(c.String(), maxSummary), Source: c.Target.String(),
			Timestamp: c.At.UTC().Format("2006-01-02T15:04:05.000Z"), CustomDetails: details,
		}})
	if err != nil {
		return pagerDutyError("of a change of "+c.Target.String(), err, h).Failure
	}
	return nil
}
