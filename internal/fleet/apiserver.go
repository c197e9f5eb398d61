package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/scheme"
)

// APIServer stands in for the Kubernetes API server: lists in pages, watches with bookmarks,
// writes that are refused on another version than the one they name. It knows no admission, no
// controllers and no rights: everybody may do everything, and what nobody writes stands still. It
// speaks JSON only.
type APIServer struct {
	store    *store
	throttle *rate.Limiter

	mu       sync.Mutex
	requests map[string]int // by verb and resource
}

// APIOptions say which fleet there is, and how well the API server is.
type APIOptions struct {
	Targets   int
	Incidents int
	// Open: the incidents are open, else resolved.
	Open bool
	// Throttle is how many requests a second it answers, the others with 429; 0: all.
	Throttle float64
}

// NewAPIServer returns the API server of a cluster with the fleet.
func NewAPIServer(o APIOptions) (*APIServer, error) {
	a := &APIServer{store: newStore(), requests: map[string]int{}}
	if o.Throttle > 0 {
		a.throttle = rate.NewLimiter(rate.Limit(o.Throttle), int(o.Throttle)+1)
	}
	if err := a.store.fill(o.Targets); err != nil {
		return nil, err
	}
	return a, a.store.fillIncidents(o.Incidents, o.Targets, o.Open)
}

// call is one request, understood.
type call struct {
	verb                    string
	resource                *resource
	namespace, name, status string
}

// ServeHTTP implements http.Handler.
func (a *APIServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/fleet/state":
		reply(w, http.StatusOK, a.state())
		return
	case strings.HasPrefix(r.URL.Path, "/apis/authentication.k8s.io/"),
		strings.HasPrefix(r.URL.Path, "/apis/authorization.k8s.io/"):
		a.count("create " + r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		review(w, r)
		return
	}
	c, ok := a.understand(r)
	if !ok {
		a.count("unknown " + r.URL.Path)
		refuse(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
		return
	}
	a.count(strings.TrimSuffix(c.verb+" "+c.resource.name+"/"+c.status, "/"))
	if a.throttle != nil && c.verb != "watch" && !a.throttle.Allow() {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "TooManyRequests", "too many requests")
		return
	}
	switch c.verb {
	case "get":
		a.get(w, c)
	case "list":
		a.list(w, r, c)
	case "watch":
		a.watch(w, r, c)
	default:
		a.write(w, r, c)
	}
}

func (a *APIServer) count(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests[what]++
}

// understand takes a path and a method apart.
func (a *APIServer) understand(r *http.Request) (call, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = parts[1], parts[3:]
	default:
		return call{}, false
	}
	c := call{}
	if parts[0] == "namespaces" && len(parts) > 2 {
		c.namespace, parts = parts[1], parts[2:]
	}
	if c.resource = a.store.resources[group+"/"+parts[0]]; c.resource == nil || len(parts) > 3 {
		return call{}, false
	}
	if len(parts) > 1 {
		c.name = parts[1]
	}
	if len(parts) > 2 {
		c.status = parts[2]
	}
	switch c.verb = strings.ToLower(r.Method); {
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") == "true":
		c.verb = "watch"
	case r.Method == http.MethodGet && c.name == "":
		c.verb = "list"
	case r.Method == http.MethodPost:
		c.verb = "create"
	case r.Method == http.MethodPut:
		c.verb = "update"
	}
	return c, true
}

func (a *APIServer) get(w http.ResponseWriter, c call) {
	a.store.mu.RLock()
	o := c.resource.objects[c.namespace+"/"+c.name]
	a.store.mu.RUnlock()
	if o == nil {
		c.notFound(w)
		return
	}
	send(w, http.StatusOK, c.resource.typed(o.raw))
}

func (c call) notFound(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "NotFound", fmt.Sprintf("%s %q not found", c.resource.name, c.name))
}

// chosen tells which objects a list or watch is about.
type chosen struct {
	labels labels.Selector
	fields fields.Selector
}

func choose(r *http.Request) (chosen, error) {
	l, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return chosen{}, err
	}
	f, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	return chosen{l, f}, err
}

func (s chosen) matches(o *object) bool {
	return s.labels.Matches(o.labels) &&
		s.fields.Matches(fields.Set{"metadata.name": o.name, "metadata.namespace": o.namespace})
}

func (a *APIServer) list(w http.ResponseWriter, r *http.Request, c call) {
	wanted, err := choose(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	// Objects that are written between two pages are seen as they are then; a real API server
	// shows the version of the first page.
	a.store.mu.Lock() // under may sort
	version := a.store.version
	var found []*object
	next := ""
	for _, key := range c.resource.under(c.namespace, r.URL.Query().Get("continue")) {
		o := c.resource.objects[key]
		if !wanted.matches(o) {
			continue
		}
		if limit > 0 && len(found) == limit {
			next = found[limit-1].key()
			break
		}
		found = append(found, o)
	}
	a.store.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"kind":"%sList","apiVersion":%q,"metadata":{"resourceVersion":"%d","continue":%q},"items":[`,
		c.resource.kind, c.resource.apiVersion(), version, next)
	for i, o := range found {
		if i > 0 {
			b.WriteByte(',')
		}
		if c.resource.group == custom {
			b.Write(c.resource.typed(o.raw))
		} else {
			b.Write(o.raw)
		}
	}
	b.WriteString("]}")
	send(w, http.StatusOK, b.Bytes())
}

// bookmarkBefore is how long before its end a watch sends a bookmark, and bookmarkEvery how
// often before that, as the real one does.
const (
	bookmarkBefore = 2 * time.Second
	bookmarkEvery  = time.Minute
)

func (a *APIServer) watch(w http.ResponseWriter, r *http.Request, c call) {
	q := r.URL.Query()
	wanted, err := choose(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	if q.Get("sendInitialEvents") == "true" {
		refuse(w, http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents is not supported")
		return
	}
	from, _ := strconv.ParseUint(q.Get("resourceVersion"), 10, 64)
	seconds, _ := strconv.Atoi(q.Get("timeoutSeconds"))
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(cmp.Or(seconds, 1800))*time.Second)
	defer cancel()
	end, _ := ctx.Deadline()
	bookmark := time.NewTimer(min(bookmarkEvery, time.Until(end.Add(-bookmarkBefore))))
	defer bookmark.Stop()
	s := watching{w: http.NewResponseController(w), out: w, resource: c.resource}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = s.w.Flush()
	for {
		events, version, more, known := a.since(c, from)
		if !known {
			s.send("ERROR", failure(http.StatusGone, "Expired", "too old resource version"))
			return
		}
		for _, e := range events {
			if wanted.matches(e.object) {
				s.send(e.what, c.resource.typed(e.object.raw))
			}
		}
		from = version
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-bookmark.C:
			if left := time.Until(end.Add(-bookmarkBefore)); left > 0 {
				bookmark.Reset(min(bookmarkEvery, left))
			}
			if q.Get("allowWatchBookmarks") == "true" {
				s.send("BOOKMARK", c.resource.typed(fmt.Appendf(nil,
					`{"metadata":{"resourceVersion":"%d","creationTimestamp":null}}`, from)))
			}
		}
		if s.err != nil {
			return
		}
	}
}

// since are the events of a namespace after a version, or all objects as added with version 0.
func (a *APIServer) since(c call, from uint64) (events []event, version uint64, more <-chan struct{}, known bool) {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	r := c.resource
	if from == 0 {
		for _, key := range r.under(c.namespace, "") {
			events = append(events, event{"ADDED", r.objects[key]})
		}
		return events, a.store.version, r.changed, true
	}
	if from < r.lost {
		return nil, 0, nil, false
	}
	at := len(r.events)
	for at > 0 && r.events[at-1].object.version > from {
		at--
	}
	for _, e := range r.events[at:] {
		if c.namespace == "" || e.object.namespace == c.namespace {
			events = append(events, e)
		}
	}
	return events, a.store.version, r.changed, true
}

// watching is the answer to one watch.
type watching struct {
	w        *http.ResponseController
	out      io.Writer
	resource *resource
	err      error
}

func (s *watching) send(what string, object []byte) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, `{"type":%q,"object":%s}`+"\n", what, object)
	}
	if s.err == nil {
		s.err = s.w.Flush()
	}
}

// write creates, changes or deletes an object.
func (a *APIServer) write(w http.ResponseWriter, r *http.Request, c call) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	if body, err = toJSON(body); err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	dry := r.URL.Query().Get("dryRun") != ""
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	switch c.verb {
	case "create":
		a.create(w, c, body, dry)
	case "update", "patch":
		a.change(w, c, r.Header.Get("Content-Type"), body, dry)
	case "delete":
		a.remove(w, c, body, dry)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method)
	}
}

func (a *APIServer) create(w http.ResponseWriter, c call, body []byte, dry bool) {
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	meta, _ := o["metadata"].(map[string]any)
	if meta == nil || meta["name"] == nil {
		refuse(w, http.StatusUnprocessableEntity, "Invalid", "metadata.name is missing")
		return
	}
	if c.name, _ = meta["name"].(string); c.resource.objects[c.namespace+"/"+c.name] != nil {
		refuse(w, http.StatusConflict, "AlreadyExists", c.resource.name+" "+c.name+" exists")
		return
	}
	meta["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
	if c.namespace != "" {
		meta["namespace"] = c.namespace
	}
	if c.resource.status {
		delete(o, "status")
	}
	if dry {
		send(w, http.StatusCreated, withKind(o, c.resource))
		return
	}
	a.stored(w, http.StatusCreated, c, "ADDED", o)
}

func withKind(o map[string]any, r *resource) []byte {
	o["kind"], o["apiVersion"] = r.kind, r.apiVersion()
	b, _ := json.Marshal(o) // it was decoded from JSON
	return b
}

// stored keeps an object and answers with it.
func (a *APIServer) stored(w http.ResponseWriter, status int, c call, what string, o map[string]any) {
	kept, err := a.store.keep(c.resource, what, o)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	send(w, status, c.resource.typed(kept.raw))
}

func (a *APIServer) change(w http.ResponseWriter, c call, contentType string, body []byte, dry bool) {
	before := c.resource.objects[c.namespace+"/"+c.name]
	if before == nil {
		c.notFound(w)
		return
	}
	after, code, reason, err := apply(before.raw, contentType, body)
	var was, next map[string]any
	if err == nil {
		err = cmp.Or(json.Unmarshal(before.raw, &was), json.Unmarshal(after, &next))
	}
	if err != nil {
		refuse(w, code, reason, err.Error())
		return
	}
	old, _ := was["metadata"].(map[string]any)
	meta, _ := next["metadata"].(map[string]any)
	if meta == nil || meta["resourceVersion"] != nil && meta["resourceVersion"] != old["resourceVersion"] ||
		meta["uid"] != nil && meta["uid"] != old["uid"] {
		refuse(w, http.StatusConflict, "Conflict", "the object has been modified; please apply your changes to the "+
			"latest version and try again")
		return
	}
	meta["uid"], meta["namespace"], meta["creationTimestamp"] = old["uid"], old["namespace"], old["creationTimestamp"]
	switch {
	case c.status == "status":
		was["status"] = next["status"]
		next = was
	case c.resource.status:
		if next["status"] = was["status"]; was["status"] == nil {
			delete(next, "status")
		}
	}
	if dry {
		send(w, http.StatusOK, withKind(next, c.resource))
		return
	}
	a.stored(w, http.StatusOK, c, "MODIFIED", next)
}

// apply returns what a request makes of an object, or with which answer it is refused.
func apply(before []byte, contentType string, body []byte) (after []byte, code int, reason string, err error) {
	code, reason = http.StatusBadRequest, "BadRequest"
	switch contentType {
	case "application/merge-patch+json":
		after, err = jsonpatch.MergePatch(before, body)
	case "application/json-patch+json":
		code, reason = http.StatusUnprocessableEntity, "Invalid" // such as a test that fails
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(body); err == nil {
			after, err = p.Apply(before)
		}
	case "application/json", "application/vnd.kubernetes.protobuf", "":
		after = body
	default:
		code, reason = http.StatusUnsupportedMediaType, "UnsupportedMediaType"
		err = fmt.Errorf("a patch of type %s is not supported", contentType)
	}
	return after, code, reason, err
}

func (a *APIServer) remove(w http.ResponseWriter, c call, body []byte, dry bool) {
	o := c.resource.objects[c.namespace+"/"+c.name]
	if o == nil {
		c.notFound(w)
		return
	}
	var options struct {
		Preconditions struct{ ResourceVersion string }
	}
	_ = json.Unmarshal(body, &options)
	if v := options.Preconditions.ResourceVersion; v != "" && v != strconv.FormatUint(o.version, 10) {
		refuse(w, http.StatusConflict, "Conflict", "the object has been modified")
		return
	}
	if !dry {
		a.store.remove(c.resource, o)
	}
	reply(w, http.StatusOK, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
}

// toJSON decodes a body in Protobuf, in which clients of built-in resources write.
func toJSON(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte("k8s\x00")) {
		return body, nil
	}
	o, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	return json.Marshal(o)
}

// review answers who somebody is and what they may: the same for everybody, and everything.
func review(w http.ResponseWriter, r *http.Request) {
	var o map[string]any
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	if body, err = toJSON(body); err == nil {
		err = json.Unmarshal(body, &o)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	user := map[string]any{"username": "fleet"}
	spec, _ := o["spec"].(map[string]any)
	o["status"] = map[string]any{"allowed": true, "authenticated": true, "user": user, "userInfo": user,
		"audiences": spec["audiences"]}
	reply(w, http.StatusCreated, o)
}

// State is what tests and measurements ask of the stand-in.
type State struct {
	// Requests are all so far, by verb and resource.
	Requests map[string]int
	// Revisions is of how many targets a revision is recorded.
	Revisions int
	// Incidents are the stored ones by phase.
	Incidents map[string]int
}

func (a *APIServer) state() State {
	st := State{Incidents: map[string]int{}}
	a.mu.Lock()
	st.Requests = maps.Clone(a.requests)
	a.mu.Unlock()
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	for _, o := range a.store.resources[custom+"/ledgers"].objects {
		var l struct {
			Status struct{ Records map[string]json.RawMessage }
		}
		if json.Unmarshal(o.raw, &l) == nil {
			st.Revisions += len(l.Status.Records)
		}
	}
	for _, o := range a.store.resources[custom+"/incidents"].objects {
		var i struct {
			Status struct{ Phase string }
		}
		if json.Unmarshal(o.raw, &i) == nil {
			st.Incidents[cmp.Or(i.Status.Phase, "no status")]++
		}
	}
	return st
}

func send(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{}`)
	}
	send(w, status, b)
}

func failure(code int, reason, message string) []byte {
	b, _ := json.Marshal(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
		"reason": reason, "message": message})
	return b
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	send(w, code, failure(code, reason, message))
}
