package recorders

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// componentAction is the action of a request that changes a component.
const componentAction = "component"

// statuspageBody is what either request may hold.
type statuspageBody struct {
	Incident struct {
		Name       string            `json:"name"`
		Status     string            `json:"status"`
		Body       string            `json:"body"`
		Components map[string]string `json:"components"`
		IDs        []string          `json:"component_ids"`
		Metadata   json.RawMessage   `json:"metadata"`
		From       string            `json:"scheduled_for"`
		Until      string            `json:"scheduled_until"`
	} `json:"incident"`
	Component struct {
		Status string `json:"status"`
	} `json:"component"`
}

// statuspageIncident is creating (POST) and updating (PATCH) an incident of a page.
func (r *Recorder) statuspageIncident(w http.ResponseWriter, req *http.Request) {
	b, e, ok := readStatuspage(w, req)
	if !ok {
		return
	}
	i := e.Incident
	create := req.PathValue("id") == ""
	statuses := []string{"investigating", "identified", "monitoring", "resolved"}
	planned := []string{"scheduled", "in_progress", "verifying", "completed"}
	switch {
	case create && i.Name == "":
		unprocessable(w, "name can't be blank")
		return
	case i.Status != "" && !slices.Contains(slices.Concat(statuses, planned), i.Status):
		unprocessable(w, fmt.Sprintf("status %q is not one of %v", i.Status, statuses))
		return
	case create && slices.Contains(planned, i.Status) && (i.From == "" || i.Until == ""):
		unprocessable(w, "scheduled_for and scheduled_until can't be blank")
		return
	case !holdsObjects(i.Metadata):
		unprocessable(w, "metadata must be an object of objects")
		return
	}
	for id, status := range i.Components {
		if !isComponentStatus(status) {
			unprocessable(w, fmt.Sprintf("component %s: status %q does not exist", id, status))
			return
		}
	}
	q := &Request{Receiver: Statuspage, Action: i.Status, Key: req.PathValue("id"), Summary: i.Body, Body: b}
	status, do := http.StatusOK, r.statuspageUpdate
	if create {
		status, do = http.StatusCreated, r.statuspageCreate
	}
	if r.take(w, req, q, do) {
		answer(w, status, map[string]any{"id": q.Key, "name": i.Name, "status": q.Action,
			"page_id": req.PathValue("page")})
	}
}

func (r *Recorder) statuspageCreate(q *Request) *refusal {
	q.Key = r.id("sp")
	if q.Action == "" {
		q.Action = "investigating" // Statuspage's own default
	}
	return nil
}

// statuspageUpdate keeps the status that an update does not name.
func (r *Recorder) statuspageUpdate(q *Request) *refusal {
	i, known := Snapshot{r.all}.StatuspageIncidents()[q.Key]
	if !known {
		return &refusal{http.StatusNotFound, map[string]any{"error": "Incident not found"}}
	}
	q.Action = cmp.Or(q.Action, i.State)
	return nil
}

// statuspageComponent is updating a component of a page.
func (r *Recorder) statuspageComponent(w http.ResponseWriter, req *http.Request) {
	b, e, ok := readStatuspage(w, req)
	if !ok {
		return
	}
	if !isComponentStatus(e.Component.Status) {
		unprocessable(w, fmt.Sprintf("component status %q does not exist", e.Component.Status))
		return
	}
	q := &Request{Receiver: Statuspage, Action: componentAction, Key: req.PathValue("id"), Summary: e.Component.Status,
		Body: b}
	if r.take(w, req, q, func(*Request) *refusal { return nil }) {
		answer(w, http.StatusOK, map[string]any{"id": q.Key, "status": q.Summary, "page_id": req.PathValue("page")})
	}
}

// readStatuspage answers by itself what Statuspage would not look into.
func readStatuspage(w http.ResponseWriter, req *http.Request) ([]byte, statuspageBody, bool) {
	var e statuspageBody
	token, oauth := strings.CutPrefix(req.Header.Get("Authorization"), "OAuth ")
	if !oauth || token == "" {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "Could not authenticate"})
		return nil, e, false
	}
	b, err := body(req)
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	switch {
	case !isJSON(req):
		// The vendor then reads the JSON as a form, and finds nothing in it.
		unprocessable(w, "name can't be blank")
	case err != nil:
		answer(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
	default:
		return b, e, true
	}
	return nil, e, false
}

func unprocessable(w http.ResponseWriter, why string) {
	answer(w, http.StatusUnprocessableEntity, map[string]any{"error": []string{why}})
}

func isComponentStatus(s string) bool {
	return slices.Contains([]string{"operational", "under_maintenance", "degraded_performance", "partial_outage",
		"major_outage"}, s)
}

// holdsObjects reports whether all values of an object are objects themselves.
func holdsObjects(meta json.RawMessage) bool {
	var m map[string]map[string]any
	return len(meta) == 0 || json.Unmarshal(meta, &m) == nil
}
