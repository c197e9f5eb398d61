package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

const maxAgents = 1e6

// NewAgents returns the probe for /api/v2/agents/status. A document that can be
// read is OK: the numbers are judged by rules.
func NewAgents(conf config.AgentsProbe, resolver *net.Resolver) (Probe, error) {
	client, err := newClient(conf.HTTPClient, "", resolver)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, at time.Time) (Result, error) {
		got, err := client.fetch(ctx)
		if err == nil {
			err = refuseStatus(client.what(), got)
		}
		if err != nil {
			return outcome(err)
		}
		doc, err := readAgents(got)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", client.what(), err)
		}
		return Result{
			State:  OK,
			Detail: fmt.Sprintf("%.0f of %.0f agents active", doc.active, doc.desired),
			Samples: []*model.Sample{
				newSample(at, "watchdog_agents_active", doc.active),
				newSample(at, "watchdog_agents_desired", doc.desired),
			},
		}, nil
	}, nil
}

type agentsDocument struct{ active, desired float64 }

func readAgents(got answer) (agentsDocument, error) {
	fields, err := documentOf(got)
	if err != nil {
		return agentsDocument{}, err
	}
	var doc agentsDocument
	if doc.active, err = fields.count("active", maxAgents); err != nil {
		return doc, err
	}
	if doc.desired, err = fields.count("desired", maxAgents); err != nil {
		return doc, err
	}
	if !fields.has("agents") {
		return doc, nil
	}
	var listed []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(fields["agents"], &listed); err != nil {
		return doc, fmt.Errorf("field %q is not a list of agents", "agents")
	}
	if float64(len(listed)) < doc.active {
		return doc, fmt.Errorf("reports %.0f active agents but lists %d", doc.active, len(listed))
	}
	return doc, nil
}
