package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// pageSize is how many objects one request lists. A page is some 1.5 MB.
	pageSize = 250
	// maxRestarts is how often one list begins anew because its snapshot has expired.
	maxRestarts = 3
)

// EachIncident hands over all incidents that are stored, page by page and ordered by name, and
// keeps none of them. An object that cannot be read makes the whole call fail: half a memory
// is worse than none. One without a status was made and never stored: nobody was told of it and
// nothing was done, and it is as if it were not there (see Sweep). If each returns an error,
// EachIncident stops and returns it.
func (s *Store) EachIncident(ctx context.Context, each func(incident.Stored) error) error {
	texts := interner{}
	_, err := s.eachObject(ctx, "incidents", func(raw json.RawMessage) (string, error) {
		st, stored, err := readIncident(raw)
		if err != nil {
			return "", fmt.Errorf("read incident %s/%s: %w; delete or correct it", s.namespace, st.Incident.ID, err)
		}
		if stored {
			texts.slim(&st.Incident)
			err = each(st)
		}
		return st.Incident.ID, err
	})
	return err
}

// Incidents returns all incidents that are stored, ordered by name. See EachIncident.
func (s *Store) Incidents(ctx context.Context) ([]incident.Stored, error) {
	var all []incident.Stored
	err := s.EachIncident(ctx, func(st incident.Stored) error { all = append(all, st); return nil })
	if err != nil {
		return nil, err
	}
	return all, nil
}

// StoredIncident reads one incident as EachIncident does; false: it is not there.
func (s *Store) StoredIncident(ctx context.Context, id string) (incident.Stored, bool, error) {
	o, err := s.get(ctx, "incidents", id)
	switch {
	case apierrors.IsNotFound(err), err == nil && len(o.Status) == 0:
		return incident.Stored{}, false, nil
	case err != nil:
		return incident.Stored{}, false, explain(s.request("get", "incidents", id), err)
	}
	st, err := decodeIncident(o)
	if err != nil {
		return incident.Stored{}, false, fmt.Errorf("read incident %s/%s: %w; delete or correct it", s.namespace, id, err)
	}
	return st, true, nil
}

// readIncident decodes one incident of a list, and reports whether it has a status. With an error, only
// its ID is known.
func readIncident(raw json.RawMessage) (st incident.Stored, stored bool, err error) {
	var o struct {
		Metadata struct{ Name string }
		Spec     *incidentSpec
		Status   *incidentStatus
	}
	err = json.Unmarshal(raw, &o)
	if err == nil && o.Spec != nil && o.Status != nil && o.Status.Format <= format && o.Status.Revision != 0 {
		st = incident.Stored{Incident: o.Status.Incident, Responders: o.Spec.actions(), Version: versionOf(o.Status.Revision)}
		if err = plausible(st.Incident, o.Metadata.Name); err != nil {
			st.Incident = incident.Incident{ID: o.Metadata.Name}
		}
		return st, true, err
	}
	// Incomplete, or of another version: in steps, which know what may be missing or other.
	var parts object
	if err := json.Unmarshal(raw, &parts); err != nil {
		return incident.Stored{Incident: incident.Incident{ID: o.Metadata.Name}}, false, fmt.Errorf("decode: %w", err)
	}
	if len(parts.Status) == 0 {
		return incident.Stored{Incident: incident.Incident{ID: parts.Metadata.Name}}, false, nil
	}
	if st, err = decodeIncident(parts); err != nil {
		st = incident.Stored{Incident: incident.Incident{ID: parts.Metadata.Name}}
	}
	return st, true, err
}

// eachObject lists one resource page by page, hands over each object, and returns the version of the
// first page. each returns the object's name. If the API server has forgotten the snapshot
// that the pages are of (410 Expired, after minutes), the list begins anew and leaves out
// what was handed over.
func (s *Store) eachObject(ctx context.Context, resource string,
	each func(raw json.RawMessage) (name string, err error)) (version string, err error) {
	p := pager{resource: resource, store: s, seen: map[string]bool{}, each: each}
	for {
		next, err := p.page(ctx)
		switch {
		case err == nil && next == "":
			return p.version, nil
		case err == nil:
			p.token = next
		case apierrors.IsResourceExpired(err) && p.token != "" && p.restarts < maxRestarts:
			p.token, p.restarts = "", p.restarts+1
		default:
			return "", err
		}
	}
}

// pager is a list that is under way.
type pager struct {
	store    *Store
	resource string
	each     func(raw json.RawMessage) (name string, err error)
	token    string // where the next page begins
	version  string // of the first page
	seen     map[string]bool
	restarts int
	body     bytes.Buffer
	raw      json.RawMessage
}

// page reads one page and returns the token of the next; empty: it was the last. It has the whole page
// before it hands anything over: who takes it may take its time, such as a person who reads a list.
func (p *pager) page(ctx context.Context) (next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := p.store.c.custom.Get().Namespace(p.store.namespace).Resource(p.resource).VersionedParams(
		&metav1.ListOptions{Limit: pageSize, Continue: p.token}, metav1.ParameterCodec).Stream(ctx)
	if err != nil {
		return "", missingKind(p.store.request("list", p.resource, ""), err)
	}
	defer body.Close() // it is only read
	p.body.Reset()
	var meta metav1.ListMeta
	if _, err = p.body.ReadFrom(body); err == nil {
		meta, err = p.read(json.NewDecoder(&p.body))
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	var own *ownError
	switch {
	case errors.As(err, &own):
		return "", own.error
	case err != nil:
		return "", fmt.Errorf("%s: decode: %w", p.store.request("list", p.resource, ""), err)
	}
	if p.version == "" {
		p.version = meta.ResourceVersion
	}
	return meta.Continue, nil
}

// ownError is an error of what takes the objects, and not of the list.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

// read decodes a list object by object.
func (p *pager) read(d *json.Decoder) (meta metav1.ListMeta, err error) {
	if err := expect(d, '{'); err != nil {
		return meta, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return meta, err
		}
		switch key {
		case "metadata":
			err = d.Decode(&meta)
		case "items":
			err = p.items(d)
		default:
			err = d.Decode(&p.raw)
		}
		if err != nil {
			return meta, err
		}
	}
	return meta, expect(d, '}')
}

func (p *pager) items(d *json.Decoder) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := d.Decode(&p.raw); err != nil {
			return err
		}
		if p.restarts > 0 && p.seen[nameOf(p.raw)] {
			continue
		}
		name, err := p.each(p.raw)
		if err != nil {
			return &ownError{err}
		}
		p.seen[name] = true
	}
	return expect(d, ']')
}

func nameOf(raw json.RawMessage) string {
	var o struct{ Metadata struct{ Name string } }
	_ = json.Unmarshal(raw, &o)
	return o.Metadata.Name
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err == nil && t != want {
		err = fmt.Errorf("found %v, expected %v", t, want)
	}
	return err
}
