//go:build integration

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
)

// withToken sends a bearer token with every request.
type withToken string

func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(t))
	return http.DefaultTransport.RoundTrip(r)
}

// account makes a service account in watchdog's namespace, bound to roles of the chart, and
// returns a token of it for watchdog.
func account(t testing.TB, s *demo.Scene, name string, roles ...string) string {
	t.Helper()
	kubectl := func(args ...string) string {
		out, err := s.Run(t.Context(), "", append([]string{"kubectl", "-n", s.Watchdog}, args...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(out)
	}
	kubectl("create", "serviceaccount", name)
	for _, role := range roles {
		kubectl("create", "rolebinding", name+"-"+role, "--role="+role, "--serviceaccount="+s.Watchdog+":"+name)
	}
	return kubectl("create", "token", name, "--audience", "watchdog")
}

// reader returns a client that may read watchdog's pages.
func reader(t *testing.T, s *demo.Scene) *http.Client {
	t.Helper()
	return &http.Client{Transport: withToken(account(t, s, "reader", "watchdog-reader"))}
}

// TestNobodyReadsWithoutTheRight_S04: the chart as it is installed by default, asked at
// each replica; the API server's audit log says how often it was asked.
func TestNobodyReadsWithoutTheRight_S04(t *testing.T) {
	s := stage(t, "read")
	text := config(t, s, "agents")
	installText(t, s, text)
	may, mayNot := account(t, s, "may", "watchdog-reader"), account(t, s, "may-not")
	// The resource exists in RBAC only, so that kubectl create role would not find it.
	role := fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reloads, "+
		"namespace: %s}, rules: [{apiGroups: [watchdog.io], resources: [configurations], verbs: [update]}]}",
		s.Watchdog)
	if out, err := s.Run(t.Context(), role, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	reloads := account(t, s, "reloads", "reloads")
	ask := func(method, url, token string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	replicas := pods(t, s)
	if len(replicas) != 2 {
		t.Fatalf("replicas %v", replicas)
	}
	for _, ip := range replicas {
		pages, open := "http://"+ip+":9095", "http://"+ip+":9096"
		for _, path := range []string{"/metrics",
			"/api/v1/incidents", "/api/v1/targets", "/api/v1/rules", "/api/v1/alerts", "/api/v1/query?query=up"} {
			for who, tt := range map[string]struct {
				token string
				want  int
			}{"nobody": {"", 401}, "an unknown token": {"x", 401}, "who may not": {mayNot, 403},
				"who only reloads": {reloads, 403}, "who may": {may, 200}} {
				if got, text := ask(http.MethodGet, pages+path, tt.token); got != tt.want {
					t.Errorf("%s: GET %s%s: %d %.200s, want %d", who, ip, path, got, text, tt.want)
				}
			}
		}
		for token, want := range map[string]int{"": 401, may: 403, reloads: 200} {
			if got, text := ask(http.MethodPost, pages+"/-/reload", token); got != want {
				t.Errorf("%s: POST /-/reload: %d %.200s, want %d", ip, got, text, want)
			}
		}
		for path, want := range map[string]int{"/metrics": 200, "/-/healthy": 200, "/-/ready": 200,
			"/api/v1/incidents": 404, "/webhook/alertmanager": 404} {
			if got, text := ask(http.MethodGet, open+path, ""); got != want {
				t.Errorf("%s: GET %s without a token on the port of the metrics: %d %.200s, want %d", ip, path, got,
					text, want)
			}
		}
	}
	// A read costs no request of the API server while the answer is believed.
	asked := func() (n int) {
		for _, r := range requests(t, s) {
			if r.ObjectRef.Resource == "tokenreviews" || r.ObjectRef.Resource == "localsubjectaccessreviews" {
				n++
			}
		}
		return n
	}
	before, began := asked(), time.Now()
	for range 500 {
		if got, text := ask(http.MethodGet, "http://"+replicas[0]+":9095/api/v1/targets", may); got != 200 {
			t.Fatalf("%d %s", got, text)
		}
	}
	took := time.Since(began)
	if n := asked() - before; n > 2+2*int(took/(8*time.Second)) {
		t.Errorf("500 reads in %s: the API server was asked %d times", took, n)
	}
	t.Logf("500 reads by one token in %s", took.Round(time.Millisecond))
	// A right that is taken away is gone within ten seconds.
	if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"delete", "rolebinding", "may-watchdog-reader"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, "the right to be gone", 10*time.Second, func() bool {
		got, _ := ask(http.MethodGet, "http://"+replicas[0]+":9095/api/v1/incidents", may)
		return got == http.StatusForbidden
	})
}
