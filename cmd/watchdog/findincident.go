package main

import (
	"context"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/responder"
)

// findIncident reads the incident that a word means (responder.Pick). With a whole ID no other is read; else
// all are, page by page, and of each is kept only what tells it from the others.
func findIncident(ctx context.Context, store *kube.Store, word string) (incident.Incident, error) {
	id, whole := responder.WholeID(word)
	if whole {
		if s, found, err := store.StoredIncident(ctx, id); found || err != nil {
			return s.Incident, err
		}
	}
	all, err := listed(ctx, store, func(i incident.Incident) incident.Incident {
		return incident.Incident{ID: i.ID, Target: i.Target, OpenedAt: i.OpenedAt}
	})
	if err != nil {
		return incident.Incident{}, err
	}
	picked, err := responder.Pick(all, word)
	if err != nil {
		return incident.Incident{}, err
	}
	s, found, err := store.StoredIncident(ctx, picked.ID)
	if err == nil && !found {
		_, err = responder.Pick(nil, word) // it was deleted meanwhile
	}
	return s.Incident, err
}

// listed lists the incidents, newest first, and keeps of each what kept returns.
func listed(ctx context.Context, store *kube.Store,
	kept func(incident.Incident) incident.Incident) ([]incident.Incident, error) {
	all := []incident.Incident{}
	if err := store.EachIncident(ctx, func(s incident.Stored) error {
		all = append(all, kept(s.Incident))
		return nil
	}); err != nil {
		return nil, err
	}
	newestFirst(all)
	return all, nil
}

func list(ctx context.Context, store *kube.Store) ([]incident.Incident, error) {
	return listed(ctx, store, func(i incident.Incident) incident.Incident { return i })
}

func (f *cluster) incident(c *cobra.Command, word string) (incident.Incident, error) {
	_, store, err := f.store()
	if err != nil {
		return incident.Incident{}, err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	return findIncident(ctx, store, word)
}
