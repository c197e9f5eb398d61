package recorders

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PageEntry is an incident or a planned maintenance as the status page has it.
type PageEntry struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Status     string          `json:"status"`
	Body       string          `json:"-"` // the newest text
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Components []PageComponent `json:"components"`
	From       string          `json:"scheduled_for,omitempty"`
	Until      string          `json:"scheduled_until,omitempty"`
	UpdatedAt  time.Time       `json:"updated_at"`
	Updates    int             `json:"-"`
}

// PageComponent is a component as the status page has it.
type PageComponent struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// Unresolved reports whether the entry still stands on the page.
func (e PageEntry) Unresolved() bool { return e.Status != "resolved" && e.Status != "completed" }

// lists are what Statuspage can be asked for.
var lists = map[string]func(PageEntry) bool{
	"unresolved":         func(e PageEntry) bool { return e.Unresolved() && e.From == "" },
	"scheduled":          func(e PageEntry) bool { return e.Status == "scheduled" },
	"active_maintenance": func(e PageEntry) bool { return e.Status == "in_progress" || e.Status == "verifying" },
}

// Page returns the entries of the status page, oldest first.
func (r *Recorder) Page() []PageEntry { return r.Snapshot().Page() }

// Page is as the Recorder's.
func (s Snapshot) Page() []PageEntry {
	var all []PageEntry
	for _, q := range s.Of(Statuspage) {
		var b statuspageBody
		if q.Action == componentAction || json.Unmarshal(q.Body, &b) != nil {
			continue
		}
		k := slices.IndexFunc(all, func(e PageEntry) bool { return e.ID == q.Key })
		if k < 0 {
			k, all = len(all), append(all, PageEntry{ID: q.Key, Components: []PageComponent{}})
		}
		e, i := &all[k], b.Incident
		e.Status, e.Updates, e.UpdatedAt = q.Action, e.Updates+1, q.At
		e.Name, e.Body, e.From, e.Until = cmp.Or(i.Name, e.Name), cmp.Or(i.Body, e.Body), cmp.Or(i.From,
			e.From), cmp.Or(i.Until, e.Until)
		if len(i.Metadata) > 0 {
			e.Metadata = i.Metadata
		}
		for _, id := range slices.Concat(i.IDs, slices.Sorted(maps.Keys(i.Components))) {
			if !slices.ContainsFunc(e.Components, func(c PageComponent) bool { return c.ID == id }) {
				e.Components = append(e.Components, PageComponent{ID: id})
			}
		}
	}
	status := s.StatuspageComponents()
	for k := range all {
		for c := range all[k].Components {
			x := &all[k].Components[c]
			x.Status = cmp.Or(status[x.ID], "operational")
		}
	}
	return all
}

// StatuspageComponents is as the Recorder's. What an entry touched becomes
// operational with its end, unless the same request says otherwise.
func (s Snapshot) StatuspageComponents() map[string]string {
	all, touched := map[string]string{}, map[string][]string{}
	for _, q := range s.Of(Statuspage) {
		if q.Action == componentAction {
			all[q.Key] = q.Summary
			continue
		}
		var b statuspageBody
		if json.Unmarshal(q.Body, &b) != nil {
			continue
		}
		touched[q.Key] = append(touched[q.Key], b.Incident.IDs...)
		if q.Action == "resolved" || q.Action == "completed" {
			for _, id := range touched[q.Key] {
				all[id] = "operational"
			}
		}
		for id, to := range b.Incident.Components {
			all[id] = to
			touched[q.Key] = append(touched[q.Key], id)
		}
	}
	return all
}

// statuspageRead is reading a page, its components or its entries; it is not
// recorded. It fails as the receiver's mode says.
func (r *Recorder) statuspageRead(w http.ResponseWriter, req *http.Request) {
	if !strings.HasPrefix(req.Header.Get("Authorization"), "OAuth ") {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "Could not authenticate"})
		return
	}
	r.mu.Lock()
	mode, moded := r.effective(Statuspage, time.Now()), r.moded
	r.mu.Unlock()
	if mode == Applied500 {
		mode = OK // there is nothing to apply
	}
	if !r.behave(w, req, &Request{Receiver: Statuspage}, mode, moded) {
		return
	}
	s := r.Snapshot()
	of, listed := lists[req.PathValue("list")]
	id := req.PathValue("id")
	switch {
	case strings.HasSuffix(req.URL.Path, "/incidents"):
		answer(w, http.StatusOK, cutOut(s.Page(), func(PageEntry) bool { return true }, req))
	case listed:
		answer(w, http.StatusOK, cutOut(s.Page(), of, req))
	case req.PathValue("list") != "":
		answer(w, http.StatusNotFound, map[string]any{"error": "not found"})
	case id != "":
		answer(w, http.StatusOK, map[string]any{"id": id, "status": cmp.Or(s.StatuspageComponents()[id],
			"operational")})
	case strings.HasSuffix(req.URL.Path, "/components"):
		all := []PageComponent{}
		for id, status := range s.StatuspageComponents() {
			all = append(all, PageComponent{id, status})
		}
		answer(w, http.StatusOK, all)
	default:
		answer(w, http.StatusOK, map[string]any{"id": req.PathValue("page")})
	}
}

// cutOut is one page of a list.
func cutOut(all []PageEntry, of func(PageEntry) bool, req *http.Request) []PageEntry {
	some := []PageEntry{}
	for _, e := range all {
		if of(e) {
			some = append(some, e)
		}
	}
	slices.Reverse(some) // newest first
	number, _ := strconv.Atoi(req.FormValue("page"))
	per, _ := strconv.Atoi(req.FormValue("per_page"))
	if per < 1 || per > 100 {
		per = 100
	}
	from := min(len(some), max(0, number-1)*per)
	return some[from:min(len(some), from+per)]
}
