package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeCluster is an API server with a few objects, by path. What is written to it
// is noted and, for a merge patch of annotations, not applied.
type fakeCluster struct {
	kubeconfig string
	mu         sync.Mutex
	objects    map[string]string
	forbidden  map[string]bool
	writes     []string
}

func newFakeCluster(t *testing.T, objects map[string]string) *fakeCluster {
	t.Helper()
	f := &fakeCluster{objects: objects, forbidden: map[string]bool{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: %q}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {}}]
current-context: a
`, srv.URL)
	if err := os.WriteFile(f.kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "selfsubjectreviews") {
		f.writes = append(f.writes, r.Method+" "+r.URL.Path)
	}
	answer := func(status int, reason string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure",
			"code": status, "reason": reason, "message": fmt.Sprintf("%s %q", reason, r.URL.Path)})
	}
	switch o, ok := f.objects[r.URL.Path]; {
	case f.forbidden[r.URL.Path]:
		answer(http.StatusForbidden, "Forbidden")
	case ok:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, o)
	default:
		answer(http.StatusNotFound, "NotFound")
	}
}

// watchdog runs one command line against the cluster.
func (f *fakeCluster) watchdog(args ...string) (code int, out string) {
	var b bytes.Buffer
	root := newRoot()
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetArgs(append(args, "--kubeconfig", f.kubeconfig))
	if err := root.Execute(); err != nil {
		fmt.Fprintln(&b, err)
		return exitCode(err), b.String()
	}
	return 0, b.String()
}

func (f *fakeCluster) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.writes)
}

const (
	emptyLeases  = `{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{},"items":[]}`
	emptyLedgers = `{"kind":"LedgerList","apiVersion":"watchdog.io/v1alpha1","metadata":{},"items":[]}`
	noIncidents  = `{"kind":"IncidentList","apiVersion":"watchdog.io/v1alpha1","metadata":{},"items":[]}`
	noWindows    = `{"kind":"MaintenanceWindowList","apiVersion":"watchdog.io/v1alpha1","metadata":{},"items":[]}`
	anyLease     = `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"watchdog","namespace":"ops"},"spec":{}}`
	leaseInOps   = `{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{},` +
		`"items":[{"metadata":{"name":"watchdog","namespace":"ops"}},{"metadata":{"name":"other",` +
		`"namespace":"kube-system"}}]}`
)

// ops is a cluster with watchdog in the namespace ops, whose ledger does not exist yet.
func ops(t *testing.T) *fakeCluster {
	return newFakeCluster(t, map[string]string{
		"/apis/coordination.k8s.io/v1/leases":                              leaseInOps,
		"/apis/watchdog.io/v1alpha1/ledgers":                               emptyLedgers,
		"/apis/coordination.k8s.io/v1/namespaces/ops/leases/watchdog":      anyLease,
		"/apis/watchdog.io/v1alpha1/namespaces/ops/ledgers":                emptyLedgers,
		"/apis/watchdog.io/v1alpha1/namespaces/ops/incidents":              noIncidents,
		"/apis/watchdog.io/v1alpha1/namespaces/ops/maintenancewindows":     noWindows,
		"/apis/watchdog.io/v1alpha1/namespaces/default/incidents":          noIncidents,
		"/apis/watchdog.io/v1alpha1/namespaces/default/maintenancewindows": noWindows,
		"/apis/apps/v1/namespaces/shop/deployments/cart": `{"kind":"Deployment","apiVersion":"apps/` +
			`v1","metadata":{"name":"cart","namespace":"shop"}}`,
		"/apis/apps/v1/namespaces/shop/deployments/held": `{"kind":"Deployment","apiVersion":"apps/` +
			`v1","metadata":{"name":"held","namespace":"shop","annotations":{"watchdog.io/hold":"why"}}}`,
		"/api/v1/namespaces/shop": `{"kind":"Namespace","apiVersion":"v1",` +
			`"metadata":{"name":"shop"}}`,
		"/apis/authentication.k8s.io/v1/selfsubjectreviews": `{"kind":"SelfSubjectReview",` +
			`"apiVersion":"authentication.k8s.io/v1","status":{"userInfo":{"username":"alice"}}}`,
	})
}

// At three in the morning "no incidents" from the wrong namespace reads as "nothing is wrong".
func TestTheWrongNamespaceIsAnError_A2(t *testing.T) {
	for _, line := range []string{"status", "status -o json", "incidents", "incidents show x", "why x", "ack x",
		"note x y", "severity x P1 --reason r", "approve x", "deny x --reason r", "publish x --reason r",
		"undo x --reason r", "review x", "review list", "review done x 1", "maintenance list", "maintenance end x",
		"hold --all --reason r", "resume --all"} {
		t.Run(line, func(t *testing.T) {
			f := ops(t)
			code, out := f.watchdog(append(strings.Fields(line), "-n", "default")...)
			if code != exitFailed || !strings.Contains(out,
				"watchdog is not installed in namespace default, or has never started there (found in: ops)") {
				t.Errorf("exit %d: %s", code, out)
			}
			if w := f.written(); len(w) > 0 {
				t.Errorf("it wrote: %v", w)
			}
		})
	}
}

func TestReadingWritesNothing_A2(t *testing.T) {
	for _, line := range []string{"status", "incidents", "maintenance list", "review list", "resume --all",
		"resume shop/cart", "resume shop"} {
		t.Run(line, func(t *testing.T) {
			f := ops(t)
			if code, out := f.watchdog(append(strings.Fields(line), "-n", "ops")...); code != 0 {
				t.Errorf("exit %d: %s", code, out)
			}
			if w := f.written(); len(w) > 0 {
				t.Errorf("it wrote: %v", w)
			}
		})
	}
}

// Without the right to look, a command goes on and says what is forbidden.
func TestAViewerIsNotToldThatNothingIsInstalled_A2(t *testing.T) {
	f := ops(t)
	f.forbidden["/apis/coordination.k8s.io/v1/namespaces/default/leases/watchdog"] = true
	f.forbidden["/apis/watchdog.io/v1alpha1/namespaces/default/ledgers/watchdog"] = true
	if code, out := f.watchdog("status", "-n", "default"); code != exitFailed ||
		strings.Contains(out, "not installed") || !strings.Contains(out, "forbidden") {
		t.Errorf("exit %d: %s", code, out)
	}
	f = newFakeCluster(t, map[string]string{"/apis/coordination.k8s.io/v1/leases": emptyLeases,
		"/apis/watchdog.io/v1alpha1/ledgers": emptyLedgers})
	if code, out := f.watchdog("incidents"); code != exitFailed ||
		!strings.Contains(out, "found in: no namespace that you can list") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestHoldAndResumeSayWhatIsSo_A6(t *testing.T) {
	for name, tc := range map[string]struct {
		line, want string
		code       int
		writes     bool
	}{
		"a kind before the name": {"hold statefulset/shop/x --reason r",
			`"statefulset/shop/x": write NAMESPACE or NAMESPACE/DEPLOYMENT`, exitMisused, false},
		"a kind before the name, resume": {"resume deployment/shop/x",
			`"deployment/shop/x": write NAMESPACE or NAMESPACE/DEPLOYMENT`, exitMisused, false},
		"no name": {"hold shop/ --reason r",
			`"shop/": write NAMESPACE or NAMESPACE/DEPLOYMENT`, exitMisused, false},
		"a deployment that does not exist": {"hold shop/nosuch --reason r", "no deployment nosuch in namespace shop",
			exitFailed, true},
		"a namespace that does not exist": {"hold nosuch --reason r", "no namespace nosuch", exitFailed, true},
		"resume what does not exist": {"resume shop/nosuch", "no deployment nosuch in namespace shop",
			exitFailed, false},
		"resume what is not held":           {"resume shop/cart -n ops", "shop/cart: was not on hold", 0, false},
		"resume a namespace that is not":    {"resume shop -n ops", "shop: was not on hold", 0, false},
		"resume everything that is not":     {"resume --all -n ops", "everything: was not on hold", 0, false},
		"resume what is held":               {"resume shop/held -n ops", "shop/held: resumed", 0, true},
		"hold, wherever watchdog lives":     {"hold shop/cart --reason r -n default", "shop/cart: on hold", 0, true},
		"resume, wherever watchdog lives":   {"resume shop/held -n default", "shop/held: resumed", 0, true},
		"hold without a word for the next ": {"hold shop/cart", "hold requires --reason", exitMisused, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := ops(t)
			code, out := f.watchdog(strings.Fields(tc.line)...)
			if code != tc.code || !strings.Contains(out, tc.want) || (len(f.written()) > 0) != tc.writes {
				t.Errorf("exit %d, wrote %v:\n%s\nwant %d, %q", code, f.written(), out, tc.code, tc.want)
			}
		})
	}
}

func TestAWordThatIsNoCommand_A6(t *testing.T) {
	for line, want := range map[string]string{
		"man":                  `unknown command "watchdog man"` + "\n",
		"init --help":          `unknown command "watchdog init"` + "\n",
		"plan -h":              `unknown command "watchdog plan"`,
		"--help top":           `unknown command "watchdog top"` + "\n",
		"help ui":              `unknown command "watchdog ui"` + "\n",
		"maintenance when -h":  `unknown command "watchdog maintenance when"` + "\n",
		"statsu":               "did you mean status?",
		"stat --help":          `unknown command "watchdog stat"`,
		"status --help":        "",
		"help status":          "",
		"maintenance list -h":  "",
		"--help":               "",
		"help":                 "",
		"help maintenance":     "",
		"completion bash -h":   "",
		"incidents show -h":    "",
		"check --help x.yaml":  "",
		"maintenance --help":   "",
		"completion zsh":       "",
		"help help":            "",
		"notify test --help":   "",
		"hold -h":              "",
		"help incidents show":  "",
		"review done 1 2 -h":   "",
		"help maintenance lst": `unknown command "watchdog maintenance lst"`,
	} {
		t.Run(line, func(t *testing.T) {
			args := strings.Fields(line)
			var b bytes.Buffer
			root := newRoot()
			root.SetOut(&b)
			root.SetErr(&b)
			root.SetArgs(args)
			err := helpWanted(root, args)
			if err == nil {
				err = root.Execute()
			}
			switch {
			case want == "" && err != nil:
				t.Error(err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitMisused):
				t.Errorf("%v\nwant %q", err, want)
			}
		})
	}
}
