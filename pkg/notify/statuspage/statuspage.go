// Package statuspage publishes incidents on a status page of Atlassian Statuspage.
//
// It owns the step from what is measured to what is published, the public's texts, the
// requests, planned maintenance, and the comparison of the page with the incidents. It
// leaves whether something may be published at all to people.
//
// Its one rule: the public reads texts of the configuration only, of what watchdog itself
// has confirmed, and never of a state that the page has left behind.
package statuspage

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// Statuspage publishes an incident at Statuspage. What the public reads comes
// from the configuration's texts and never from an alert, a name or a log (INV-44, SEC-24).
type Statuspage struct {
	Client
	mode       string // off, ask, auto
	takes      []incident.Severity
	damping    damping
	components components
	templates  publicTemplates
	mem        *memory
}

var _ notify.Public = (*Statuspage)(nil)

// New returns the receiver of a configured status page, or what is wrong with its secrets or addresses.
func New(c *config.Statuspage, now func() time.Time) (*Statuspage, error) {
	token, err := notify.NewSecret(c.TokenFile)
	if err != nil {
		return nil, err
	}
	words, err := newPublicTemplates(c.Templates)
	if err != nil {
		return nil, err
	}
	return &Statuspage{
		Client: Client{client: notify.HTTPClient(), url: strings.TrimSuffix(c.URL, "/"), id: c.PageID, token: token,
			now: now, pace: newPace()},
		mode: string(c.Publish), takes: c.Severities, templates: words,
		components: components{c.ComponentID, c.Components}, mem: newMemory(now()),
		damping: damping{PendingFor: time.Duration(c.PendingFor), ClearAfter: time.Duration(c.ClearAfter),
			MinUpdateInterval: time.Duration(c.MinUpdateInterval)},
	}, nil
}

// Name is the name of the receiver in the configuration.
func (*Statuspage) Name() string { return incident.PublicReceiver }

// Inherit goes on with what the receiver of the configuration before knows: a
// reload neither forgets how long something has lasted nor doubles the pace.
func (s *Statuspage) Inherit(old notify.Notifier) {
	if o, ok := old.(*Statuspage); ok && o.id == s.id && o.url == s.url {
		s.mem, s.pace = o.mem, o.pace
	}
}

// Patience is for the looks before a post, at the pace that the page allows; each
// request alone is bounded by attemptTimeout.
func (*Statuspage) Patience() time.Duration { return 4 * notify.AttemptTimeout }

// What names the page.
func (s *Statuspage) What() string {
	if s.mode != "ask" && s.mode != "auto" {
		return "page " + s.id + " is readable with the token; publish is off"
	}
	return "page " + s.id + " is readable with the token"
}

// Reach reads the page's component, or the page.
func (s *Statuspage) Reach(ctx context.Context) error {
	path := s.path()
	if s.components.standard != "" {
		path += "/components/" + s.components.standard
	}
	return s.send(ctx, http.MethodGet, path, nil, &struct{}{})
}

// Notify publishes what the configuration lets the public know of the incident.
func (s *Statuspage) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	now := s.now()
	if prev.Ref == "" && i.Phase == incident.Resolved && notify.InDoubt(ctx) && (s.mode == "ask" || s.mode == "auto") {
		var err error
		if prev, err = s.lost(ctx, i, prev); err != nil {
			return prev, err
		}
	}
	i.Severity = ownSeverity(i)
	was, state, part := publishedIn(prev), measured(i), s.components.of(i.Target.Name)
	word := s.mem.said(i, part.ID, now)
	if prev.Ref == "" && (i.Phase == incident.Resolved || i.Target.Name == incident.Self ||
		!notify.Wanted(i, s.takes) && !i.Public.Publish) {
		s.mem.forget(i.ID)
		return prev, nil
	}
	if s.mode != "ask" && s.mode != "auto" {
		if prev.Ref != "" || state.Status == "" {
			return prev, nil
		}
		return incident.Receipt{State: "not published (publish: off): " + state.Status, Digest: state.Status}, nil
	}
	seen := s.mem.learn(i, state, part.ID, prev.Ref, was, now)
	if seen.heir != "" && i.Phase == incident.Resolved && was.Status != resolved {
		s.mem.forget(i.ID)
		return incident.Receipt{Ref: prev.Ref, State: "continues as incident " + seen.heir,
			Digest: published{publicState{resolved, was.Impact}, was.At}.String()}, nil
	}
	if prev.Ref == "" && state.Status != "" && seen.ref != "" {
		// The trouble before is not over for the public: it goes on.
		return incident.Receipt{Ref: seen.ref, State: seen.published.Status, Digest: seen.published.String()}, nil
	}
	q := question{Measured: seen.history, Published: was, Changed: seen.changed, Damping: s.damping,
		Ask: s.mode == "ask", Automatic: s.automatic(i), Word: word}
	if len(confirmed(i)) == 0 {
		q.Ask, q.Automatic = true, nil
	}
	d := decide(q, now)
	switch {
	case d.Post.Status != "":
		r, err := s.post(ctx, i, prev, part, d.Post)
		if err == nil {
			s.mem.told(i.ID, part.ID, r)
		}
		return r, err
	case d.Propose.Status != "" && (!prev.Proposed || prev.State != d.Propose.Status):
		return incident.Receipt{State: d.Propose.Status, Proposed: true, Digest: "proposed: " + d.Propose.Status}, nil
	case d.After > 0:
		return prev, &notify.Failure{Err: errors.New("status page: " + d.Why), After: d.After, Own: true}
	case was.Status == resolved:
		s.mem.forget(i.ID)
	}
	return prev, nil
}

// automatic says of a state whether its text may be posted without a person's word.
func (s *Statuspage) automatic(i incident.Incident) func(publicState) bool {
	return func(x publicState) bool { return s.templates.of(i.Severity, x.Status).automatic }
}

// post brings the page to the state. It looks first: an answer that was lost may
// have been a yes, and the public does not read the same thing twice.
func (s *Statuspage) post(ctx context.Context, i incident.Incident, prev incident.Receipt,
	part config.StatuspageComponent, next publicState) (incident.Receipt, error) {
	there, err := s.unresolved(ctx)
	if err != nil {
		return prev, err
	}
	k := slices.IndexFunc(there, func(p entry) bool {
		if prev.Ref != "" {
			return p.ID == prev.Ref
		}
		return p.ours().Incident == i.ID
	})
	receipt := func(id, state string, x publicState) incident.Receipt {
		return incident.Receipt{Ref: id, State: state, Digest: published{x, s.now()}.String()}
	}
	if k < 0 && prev.Ref != "" {
		// Over: by an answer that was lost, or by somebody's hand. It is not opened again.
		state := resolved
		if next.Status != resolved {
			state = "resolved on the page by another user"
		}
		return receipt(prev.Ref, state, publicState{resolved, operational}), nil
	}
	id := ""
	if k >= 0 {
		now := publicState{there[k].Status, there[k].ours().Impact}
		if id = there[k].ID; now.rank() >= next.rank() && now.weight() >= next.weight() &&
			there[k].ours().Incident == i.ID {
			return receipt(id, now.Status, now), nil
		}
		next.Status = publicStates[max(next.rank(), now.rank())]
		there = slices.Delete(there, k, k+1)
	}
	if id == "" && s.now().Sub(s.mem.began) < s.damping.MinUpdateInterval {
		// This process does not know what another one told the public a moment ago.
		last, err := s.lastly(ctx, part.ID)
		if err != nil {
			return prev, err
		}
		if left := last.Add(s.damping.MinUpdateInterval).Sub(s.now()); left > 0 {
			return prev, &notify.Failure{Err: errors.New("status page: the page changed within the minimum interval"),
				After: left, Own: true}
		}
	}
	w := s.templates.of(i.Severity, next.Status)
	about := facts{Component: part.Name, Since: i.OpenedAt.UTC().Format("15:04 UTC")}
	body := map[string]any{"status": next.Status, "body": w.body.fill(about),
		"metadata": metadata{ours{Incident: i.ID, Component: part.ID, Impact: next.Impact}}}
	if id == "" {
		body["name"] = w.name.fill(about)
	}
	if part.ID != "" {
		if next.Status == resolved {
			active, err := s.list(ctx, "active_maintenance")
			if err != nil {
				return prev, err
			}
			there = append(there, active...)
		}
		body["component_ids"] = []string{part.ID}
		body["components"] = map[string]string{part.ID: ofComponent(part.ID, next.Impact, there)}
	}
	if id, err = s.put(ctx, id, body); err != nil {
		return prev, err
	}
	return receipt(id, next.Status, next), nil
}

// lost looks on the page for a post about the incident whose answer was lost, and
// returns its receipt, or prev if there is none.
func (s *Statuspage) lost(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	there, err := s.unresolved(ctx)
	if err != nil {
		return prev, err
	}
	k := slices.IndexFunc(there, func(p entry) bool { return p.ours().Incident == i.ID })
	if k < 0 {
		return prev, nil
	}
	x := publicState{there[k].Status, there[k].ours().Impact}
	return incident.Receipt{Ref: there[k].ID, State: x.Status, Digest: published{x, there[k].UpdatedAt}.String()}, nil
}

// ofComponent is the status of a component of which one incident says impact: the
// worst of what all say that are not over. What people posted counts with the
// component's status at present, so theirs is never made better than they see it.
// It is always said, since Statuspage itself makes the components of what is
// resolved operational.
func ofComponent(id, impact string, others []entry) string {
	for _, p := range others {
		o := p.ours()
		switch {
		case p.Status == scheduled:
		case o.Incident != "" && o.Component == id:
			impact = worseImpact(impact, o.Impact)
		case o.Incident != "":
		default:
			for _, c := range p.Components {
				switch {
				case c.ID != id:
				case p.maintenance():
					impact = worseImpact(impact, underMaintenance)
				default:
					impact = worseImpact(impact, c.Status)
				}
			}
		}
	}
	return impact
}

// components are the parts of the page, by target.
type components struct {
	standard string
	all      []config.StatuspageComponent
}

func (c components) of(target string) config.StatuspageComponent {
	for _, x := range c.all {
		if x.Target == target {
			return x
		}
	}
	return config.StatuspageComponent{ID: c.standard, Name: "the service"}
}

// among are the ids of the parts of the page that follow the targets; none named: all.
func (c components) among(targets []string) []string {
	if len(targets) == 0 {
		for _, x := range c.all {
			targets = append(targets, x.Target)
		}
		targets = append(targets, "") // the standard component's
	}
	var ids []string
	for _, t := range targets {
		if id := c.of(t).ID; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
