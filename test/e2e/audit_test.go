//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
)

// request is one line of the API server's audit log.
type request struct {
	AuditID    string `json:"auditID"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	Stage      string `json:"stage"`
	ObjectRef  struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	} `json:"objectRef"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject json.RawMessage   `json:"requestObject"`
	Annotations   map[string]string `json:"annotations"`
	Received      time.Time         `json:"requestReceivedTimestamp"`
}

func (r request) mutates() bool {
	switch r.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// own reports whether the request concerns watchdog's own records.
func (r request) own() bool {
	// A review is a question that is asked with create.
	return r.ObjectRef.APIGroup == "watchdog.io" || r.ObjectRef.Resource == "leases" || r.ObjectRef.Resource == "events" || r.ObjectRef.Resource == "localsubjectaccessreviews"
}

// requests reads what the scene's watchdog asked of the API server so far. An
// empty scene name means every watchdog.
func requests(t *testing.T, s *demo.Scene) []request {
	t.Helper()
	f, err := os.Open(filepath.Join(tb.Dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prefix := "system:serviceaccount:watchdog-"
	if s != nil {
		prefix = "system:serviceaccount:" + s.Watchdog + ":"
	}
	var all []request
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // a line without an end is still being written
		}
		if !bytes.Contains(line, []byte(prefix)) {
			continue
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("audit log: %v", err)
		}
		if strings.HasPrefix(r.User.Username, prefix) && r.Stage == "ResponseComplete" {
			all = append(all, r)
		}
	}
	return all
}

// effects are the scene's writes to anything but watchdog's own records that the API server accepted.
func effects(t *testing.T, s *demo.Scene) []request {
	t.Helper()
	var all []request
	for _, r := range requests(t, s) {
		if r.mutates() && !r.own() && r.ResponseStatus.Code < 300 {
			all = append(all, r)
		}
	}
	return all
}

// attempts are all such writes, accepted or not.
func attempts(t *testing.T, s *demo.Scene) []request {
	t.Helper()
	var all []request
	for _, r := range requests(t, s) {
		if r.mutates() && !r.own() {
			all = append(all, r)
		}
	}
	return all
}

// wantEffects holds that there were n effects and no more. The API server shows
// a write to watches before its audit log has the line, so a line that is still
// missing is waited for.
func wantEffects(t *testing.T, s *demo.Scene, n int) []request {
	t.Helper()
	got := effects(t, s)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := within(t, 5*time.Second); len(got) < n && end.Err() == nil; got = effects(t, s) {
		<-tick.C
	}
	if len(got) != n {
		var lines []string
		for _, r := range got {
			lines = append(lines, fmt.Sprintf("%s %s %s", r.Verb, r.RequestURI, r.RequestObject))
		}
		t.Errorf("%d effects in the audit log, want %d:\n%s", len(got), n, strings.Join(lines, "\n"))
	}
	for _, r := range got {
		conditional(t, r)
	}
	return got
}

// conditional holds INV-03 on one request.
func conditional(t *testing.T, r request) {
	t.Helper()
	var o struct {
		Metadata struct {
			UID             string            `json:"uid"`
			ResourceVersion string            `json:"resourceVersion"`
			Annotations     map[string]string `json:"annotations"`
			Labels          map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(r.RequestObject, &o); err != nil {
		t.Errorf("%s %s: body not in the audit log: %v", r.Verb, r.RequestURI, err)
		return
	}
	if r.Verb == "create" {
		if o.Metadata.Labels["watchdog.io/op"] == "" {
			t.Errorf("%s %s carries no op id: %s", r.Verb, r.RequestURI, r.RequestObject)
		}
		return
	}
	if o.Metadata.UID == "" || o.Metadata.ResourceVersion == "" || o.Metadata.Annotations["watchdog.io/op"] == "" {
		t.Errorf("unconditional write: %s %s %s", r.Verb, r.RequestURI, r.RequestObject)
	}
}
