package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"watchdog.io/watchdog/pkg/httpclient"
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
	return &Forward{Leader: func() (string, bool) { return leader.URL, false },
		Client: httpclient.New(leader.Client().Transport, forwardTimeout), Readable: func(string) { *warned++ }}
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
		{"a sender's token over HTTP, which the default installation needs", func(*http.Request) {}, plain,
			"Bearer secret", 1, 200},
		{"a sender's token over HTTPS", func(*http.Request) {}, secure, "Bearer secret", 0, 200},
		{"a certificate and the sender's token", func(r *http.Request) { certified(r); bearer("secret")(r) }, secure,
			"Bearer secret", 0, 200},
		{"a certificate and a person's token over HTTP", func(r *http.Request) { certified(r); bearer("t-alice")(r) },
			plain, "", 0, 503},
		{"a certificate and a person's token over HTTPS", func(r *http.Request) { certified(r); bearer("t-alice")(r) },
			secure, "", 0, 503},
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
