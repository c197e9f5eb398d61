package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/incident"
)

// leading serves over HTTP and over HTTPS, and notes with which credentials it is asked.
func leading(t *testing.T, h http.Handler) (plain, secure *httptest.Server, got *[]string) {
	t.Helper()
	got = &[]string{}
	noted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*got = append(*got, r.Header.Get("Authorization"))
		h.ServeHTTP(w, r)
	})
	plain, secure = httptest.NewServer(noted), httptest.NewTLSServer(noted)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	return plain, secure, got
}

// follow is how a follower of a server reaches it; warned counts its warnings.
func follow(leader *httptest.Server, warned *int) *Forward {
	return &Forward{Leader: func() (string, bool) { return leader.URL, false }, Client: leader.Client(), Readable: func(string) { *warned++ }}
}

func TestAPersonsTokenTravelsOnlyOverTLS_S23(t *testing.T) {
	plain, secure, got := leading(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { data(w, []incident.Incident{}) }))
	for _, tt := range []struct {
		name, authorization string
		leader              *httptest.Server
		want, warned        int
	}{
		{"a token over HTTP", "Bearer t-alice", plain, 503, 0},
		{"a token over HTTP, written otherwise", "bEARER  t-alice", plain, 503, 0},
		{"credentials of a kind that nobody knows over HTTP", "Negotiate t-alice", plain, 503, 0},
		{"a token without its kind over HTTP", "t-alice", plain, 503, 0},
		{"a password, which only reads, over HTTP", "Basic eDp5", plain, 200, 1},
		{"nothing over HTTP", "", plain, 200, 0},
		{"a token over HTTPS", "Bearer t-alice", secure, 200, 0},
		{"a password over HTTPS", "Basic eDp5", secure, 200, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			*got = nil
			warned := 0
			h := Handler(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry(), Forward: follow(tt.leader, &warned)})
			for _, path := range []string{"/api/v1/incidents", "/api/v1/incidents/i1"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				if tt.authorization != "" {
					r.Header.Set("Authorization", tt.authorization)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != tt.want {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
				if tt.want == 503 && (!strings.Contains(w.Body.String(), `"leader":"`+tt.leader.URL+`"`) || !strings.Contains(w.Body.String(), "web.tls")) {
					t.Errorf("%s: what to do is not said: %s", path, w.Body)
				}
			}
			reached := 0
			for _, a := range *got {
				if reached++; a != tt.authorization {
					t.Errorf("the leader got %q", a)
				}
			}
			if (tt.want == 200) != (reached == 2) || warned != 2*tt.warned {
				t.Errorf("the leader was asked %d times, %d warnings", reached, warned)
			}
		})
	}
}

// A certificate proves the sender; a token beside it may be anybody's.
func TestAWebhookIsPassedOnWithItsSendersCredentialsOnly_S23(t *testing.T) {
	plain, secure, got := leading(t, newHook(t))
	for _, tt := range []struct {
		name   string
		bend   func(*http.Request)
		leader *httptest.Server
		passed string
		warned int
		status int
	}{
		{"a sender's token over HTTP, which the default installation needs", func(*http.Request) {}, plain, "Bearer secret", 1, 200},
		{"a sender's token over HTTPS", func(*http.Request) {}, secure, "Bearer secret", 0, 200},
		{"a certificate and the sender's token", func(r *http.Request) { certified(r); bearer("secret")(r) }, secure, "Bearer secret", 0, 200},
		{"a certificate and a person's token over HTTP", func(r *http.Request) { certified(r); bearer("t-alice")(r) }, plain, "", 0, 503},
		{"a certificate and a person's token over HTTPS", func(r *http.Request) { certified(r); bearer("t-alice")(r) }, secure, "", 0, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			*got = nil
			warned := 0
			h := newHook(t, func(o *AlertmanagerOptions) { o.Forward = follow(tt.leader, &warned) })
			w := httptest.NewRecorder()
			h.ServeHTTP(w, post(oneAlert, tt.bend))
			if w.Code != tt.status || len(*got) != 1 || (*got)[0] != tt.passed || warned != tt.warned {
				t.Errorf("%d %s; the leader got %q, %d warnings", w.Code, w.Body, *got, warned)
			}
		})
	}
}
