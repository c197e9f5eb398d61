package alertmanager

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"watchdog.io/watchdog/pkg/httpclient"
)

func client(t *testing.T, peers ...*peer) *Client {
	t.Helper()
	o := Options{Author: "watchdog ops", Timeout: 5 * time.Second, Now: func() time.Time { return noon }}
	for _, p := range peers {
		o.URLs = append(o.URLs, p.url)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.moment = time.Millisecond
	return c
}

func matchers(t *testing.T, text string) labels.Matchers {
	t.Helper()
	all, err := labels.ParseMatchers(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func window(t *testing.T) Window {
	t.Helper()
	// A zone of its own: what is sent is in UTC.
	return Window{Key: "maintenance/db", Comment: "the database moves",
		Matchers: matchers(t, `target="shop",severity=~"P[23]",env!="dev"`),
		EndsAt:   noon.Add(time.Hour).In(time.FixedZone("", 3600))}
}

func TestASilenceIsMadeExtendedAndEnded(t *testing.T) {
	p := newCluster().peer(t)
	c := client(t, p)
	s, err := c.Create(t.Context(), window(t))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"matchers":[{"name":"target","value":"shop","isRegex":false,"isEqual":true},{"name":"severity",` +
		`"value":"P[23]","isRegex":true,"isEqual":true},{"name":"env","value":"dev","isRegex":false,"isEqual":false}],` +
		`"startsAt":"2026-03-01T12:00:00Z","endsAt":"2026-03-01T13:00:00Z","createdBy":"watchdog ops","comment":"the ` +
		`database moves [watchdog maintenance/db]"}`
	if got := p.bodies[1]; got != want {
		t.Errorf("sent\n%s, want\n%s", got, want)
	}
	again, err := c.Create(t.Context(), window(t))
	if err != nil || again.ID != s.ID || len(p.alive()) != 1 {
		t.Errorf("made again: %v %v, %d silences", again, err, len(p.alive()))
	}
	longer, err := c.Extend(t.Context(), "maintenance/db", noon.Add(2*time.Hour))
	if all := p.alive(); err != nil || longer.ID != s.ID || len(all) != 1 ||
		!all[0].EndsAt.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("extended: %v %v, %+v", longer, err, all)
	}
	if same, err := c.Extend(t.Context(), "maintenance/db", noon.Add(time.Hour)); err != nil ||
		!same.EndsAt.Equal(noon.Add(2*time.Hour)) || p.count(http.MethodPost) != 2 {
		t.Errorf("extended to an earlier end: %v %v", same, err)
	}
	for range 2 {
		if err := c.Expire(t.Context(), "maintenance/db"); err != nil || len(p.alive()) != 0 {
			t.Errorf("expired: %v, %+v", err, p.alive())
		}
	}
	if _, err := c.Extend(t.Context(), "maintenance/db", noon.Add(3*time.Hour)); !errors.Is(err, ErrNone) {
		t.Errorf("what is over is extended: %v", err)
	}
}

func TestAnotherIDIsStillTheSameSilence(t *testing.T) {
	p := newCluster().peer(t)
	p.renames = true
	c := client(t, p)
	w := window(t)
	w.StartsAt = noon.Add(10 * time.Minute)
	s, err := c.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	longer, err := c.Extend(t.Context(), w.Key, noon.Add(2*time.Hour))
	if err != nil || longer.ID == s.ID || len(p.alive()) != 1 {
		t.Errorf("%v %v, %d silences", longer, err, len(p.alive()))
	}
	if err := c.Expire(t.Context(), w.Key); err != nil || len(p.alive()) != 0 {
		t.Errorf("%v, %d silences", err, len(p.alive()))
	}
}

// Whatever becomes of an answer, there is one silence, with the end that was asked for.
func TestALostAnswerLeavesOneSilence(t *testing.T) {
	for _, f := range []fault{broken, applied500, reset, appliedReset, hang, appliedHang, appliedHuge, appliedTrash} {
		t.Run(string(f), func(t *testing.T) {
			p := newCluster().peer(t)
			c := client(t, p)
			if f == hang || f == appliedHang {
				c.timeout = 200 * time.Millisecond
			}
			p.writes = []fault{f}
			if _, err := c.Create(t.Context(), window(t)); err != nil || len(p.alive()) != 1 {
				t.Errorf("create: %v, %d silences", err, len(p.alive()))
			}
			p.writes = []fault{f}
			if _, err := c.Extend(t.Context(), "maintenance/db", noon.Add(2*time.Hour)); err != nil ||
				len(p.alive()) != 1 || !p.alive()[0].EndsAt.Equal(noon.Add(2*time.Hour)) {
				t.Errorf("extend: %v, %+v", err, p.alive())
			}
			p.writes = []fault{f}
			if err := c.Expire(t.Context(), "maintenance/db"); err != nil || len(p.alive()) != 0 {
				t.Errorf("expire: %v, %d silences", err, len(p.alive()))
			}
		})
	}
}

func TestWhatIsNotKnownIsSaid(t *testing.T) {
	p := newCluster().peer(t)
	c := client(t, p)
	p.writes = []fault{broken, broken, broken, broken}
	if _, err := c.Create(t.Context(), window(t)); err == nil || !strings.Contains(err.Error(), "outcome unknown") ||
		!strings.Contains(err.Error(), "mesh not ready") || p.count(http.MethodPost) != rounds {
		t.Errorf("%v after %d requests", err, p.count(http.MethodPost))
	}
}

func TestARefusalIsNotRepeated(t *testing.T) {
	p := newCluster().peer(t)
	p.now = func() time.Time { return noon.Add(2 * time.Hour) } // its clock says that the end is past
	c := client(t, p)
	if _, err := c.Create(t.Context(), window(t)); err == nil || !strings.Contains(err.Error(), "400") ||
		p.count(http.MethodPost) != 1 {
		t.Errorf("%v after %d requests", err, p.count(http.MethodPost))
	}
}

func TestOnePeerIsEnough(t *testing.T) {
	shared := newCluster()
	dead, lame, well := shared.peer(t), shared.peer(t), shared.peer(t)
	dead.url = "http://127.0.0.1:1" // nobody listens
	refuse := func(w http.ResponseWriter) { http.Error(w, "not yet", http.StatusServiceUnavailable) }
	lame.reads = []func(http.ResponseWriter){refuse, refuse}
	c := client(t, dead, lame, well)
	s, err := c.Create(t.Context(), window(t))
	if err != nil || well.count(http.MethodPost) != 1 || lame.count(http.MethodPost) != 0 {
		t.Errorf("%v, %d and %d requests", err, lame.count(http.MethodPost), well.count(http.MethodPost))
	}
	all, odd, err := c.Silences(t.Context())
	if err != nil || odd != nil || len(all) != 1 || all[0].ID != s.ID ||
		!all[0].Matches(map[string]string{"target": "shop", "severity": "P2"}) {
		t.Errorf("%v %v %v", all, odd, err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.Peer != lame.url || st.Version != "0.34.0" ||
		st.Cluster != "ready" || st.Peers != 2 {
		t.Errorf("%+v %v", st, err)
	}
	c = client(t, dead)
	if _, _, err := c.Silences(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v", err)
	}
	if _, err := c.Create(t.Context(), window(t)); err == nil {
		t.Error("made by nobody")
	}
}

// A peer takes a silence and is gone before it answers: no other peer is asked in
// its place. When it is asked for again, one may be made twice; then one is ended.
func TestAPeerThatIsGoneWithItsAnswer(t *testing.T) {
	one, two := newCluster(), newCluster() // they do not hear of each other
	a, b := one.peer(t), two.peer(t)
	a.writes = []fault{appliedReset}
	refuse := func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }
	c := client(t, a, b)
	a.reads = []func(http.ResponseWriter){func(w http.ResponseWriter) { fmt.Fprint(w, "[]") }, refuse, refuse}
	if _, err := c.Create(t.Context(), window(t)); err == nil || b.count(http.MethodPost) != 0 {
		t.Errorf("%v, %d requests to the other", err, b.count(http.MethodPost))
	}
	if _, err := c.Create(t.Context(), window(t)); err != nil || len(one.alive()) != 1 || len(two.alive()) != 1 {
		t.Fatalf("%v, %d and %d silences", err, len(one.alive()), len(two.alive()))
	}
	two.mu.Lock()
	twin := two.all["id-1"]
	delete(two.all, "id-1")
	twin.ID = "id-9"
	two.all["id-9"] = twin
	two.mu.Unlock()
	if _, err := c.Create(t.Context(), window(t)); err != nil || len(one.alive())+len(two.alive()) != 1 {
		t.Errorf("%v, %d and %d silences", err, len(one.alive()), len(two.alive()))
	}
	if err := c.Expire(t.Context(), "maintenance/db"); err != nil || len(one.alive())+len(two.alive()) != 0 {
		t.Errorf("%v, %d and %d silences", err, len(one.alive()), len(two.alive()))
	}
}

// News travels between peers for a moment: the newest word counts.
func TestThePeersThatHaveNotHeardYet(t *testing.T) {
	one, two := newCluster(), newCluster()
	a, b := one.peer(t), two.peer(t)
	c := client(t, a, b)
	if _, err := client(t, a).Create(t.Context(), window(t)); err != nil {
		t.Fatal(err)
	}
	stale, news := one.all["id-1"], one.all["id-1"]
	later := noon.Add(time.Second)
	news.EndsAt, news.Updated = noon, &later
	two.all["id-1"] = news
	if err := c.Expire(t.Context(), "maintenance/db"); err != nil ||
		a.count(http.MethodDelete)+b.count(http.MethodDelete) != 0 {
		t.Errorf("%v, %d requests to end what is over", err, a.count(http.MethodDelete)+b.count(http.MethodDelete))
	}
	// A peer that lists what it has forgotten by the time it is asked to end it.
	delete(two.all, "id-1")
	delete(one.all, "id-1")
	a.reads = []func(http.ResponseWriter){func(w http.ResponseWriter) {
		one.mu.Lock()
		one.all["id-1"] = stale
		one.mu.Unlock()
		text, _ := a.apply(httptest.NewRequest(http.MethodGet, "/api/v2/silences", nil), nil)
		one.mu.Lock()
		delete(one.all, "id-1")
		one.mu.Unlock()
		_, _ = w.Write(text)
	}}
	if err := c.Expire(t.Context(), "maintenance/db"); err != nil || a.count(http.MethodDelete) != 1 {
		t.Errorf("%v, %d requests", err, a.count(http.MethodDelete))
	}
}

// Silences of people, of other installations and of other windows are left alone.
func TestOnlyOwnSilencesAreTouched(t *testing.T) {
	p := newCluster().peer(t)
	c := client(t, p)
	other := client(t, p)
	other.author = "watchdog staging"
	w := window(t)
	w.Key = "maintenance/db2"
	for _, make := range []func() error{
		func() error { _, err := other.Create(t.Context(), window(t)); return err },
		func() error { _, err := c.Create(t.Context(), w); return err },
		func() error {
			s := window(t).silence("eve", noon)
			_, err := c.post(t.Context(), s, []string{p.url})
			return err
		},
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Expire(t.Context(), "maintenance/db"); err != nil || len(p.alive()) != 3 {
		t.Errorf("%v, %d silences are left", err, len(p.alive()))
	}
	if _, err := c.Create(t.Context(), window(t)); err != nil || len(p.alive()) != 4 {
		t.Errorf("%v, %d silences", err, len(p.alive()))
	}
}

func TestAWindowThatMakesNoSenseIsNotSent(t *testing.T) {
	p := newCluster().peer(t)
	c := client(t, p)
	for want, change := range map[string]func(*Window){
		"invalid silence key":    func(w *Window) { w.Key = "a b]" },
		"before the start":       func(w *Window) { w.StartsAt = noon.Add(3 * time.Hour) },
		"in the past":            func(w *Window) { w.EndsAt = noon },
		"it silences everything": func(w *Window) { w.Matchers = matchers(t, `env!="dev"`) },
		"must not match the":     func(w *Window) { w.Matchers = nil },
		"at least one match":     func(w *Window) { w.Matchers = matchers(t, `team=~".*"`) },
		"silence maintenance":    func(w *Window) { w.Matchers = matchers(t, `team=""`) },
	} {
		w := window(t)
		change(&w)
		if _, err := c.Create(t.Context(), w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if len(p.requests) != 0 {
		t.Errorf("%d requests", len(p.requests))
	}
}

func TestAnswersAreBoundedAndUnderstoodOrRefused(t *testing.T) {
	p := newCluster().peer(t)
	c := client(t, p)
	for want, answer := range map[string]func(http.ResponseWriter){
		"larger than 8 MiB":         func(w http.ResponseWriter) { p.tell(w, nil, appliedHuge, nil, 0) },
		"is not a list of silences": func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"a list of silences: null":  func(w http.ResponseWriter) { fmt.Fprint(w, "null") },
		"302": func(w http.ResponseWriter) {
			w.Header().Set("Location",
				p.url)
			w.WriteHeader(http.StatusFound)
		},
		"503": func(w http.ResponseWriter) {
			http.Error(w, "\x1b[31mred",
				http.StatusServiceUnavailable)
		},
	} {
		p.reads = []func(http.ResponseWriter){answer}
		if _, _, err := c.Silences(t.Context()); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Silences(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

const (
	head = `{"id":"x","startsAt":"2026-03-01T11:00:00.000Z","endsAt":"2026-03-01T13:00:00.000Z","createdBy":"eve",` +
		`"comment":"c","status":{"state":"active"},"matchers":`
	good = head + `[{"name":"a","value":"b","isRegex":false}]}` // without isEqual, as before 0.22
)

func TestASilenceThatIsNotUnderstoodSilencesNothing(t *testing.T) {
	for name, one := range map[string]string{
		"an expression that is none": head + `[{"name":"a","value":"(","isRegex":true,"isEqual":true}]}`,
		"no matchers":                head + `[]}`,
		"a matcher of nothing":       head + `[{"value":"","isRegex":false}]}`,
		"several sets of matchers":   strings.Replace(head, `"matchers"`, `"matcherSets"`, 1) + `[[]]}`,
		"a state of its own":         strings.Replace(good, "active", "snoozed", 1),
		"no id":                      strings.Replace(good, `"x"`, `""`, 1),
		"no end":                     strings.Replace(good, `"endsAt"`, `"ends"`, 1),
		"no silence":                 `17`,
	} {
		all, odd, err := decode([]byte("[" + one + "," + good + "]"))
		if err != nil || len(all) != 1 || odd == nil || !strings.HasPrefix(odd.Error(), "ignoring 1 of 2 silences") {
			t.Errorf("%s: %v, %v, %v", name, all, odd, err)
		}
	}
}

func TestMatchersAreAlertmanagers(t *testing.T) {
	alert := map[string]string{"alertname": "HighErrors", "target": "shop", "severity": "critical"}
	for text, want := range map[string]bool{
		`target="shop"`:                       true,
		`target="cart"`:                       false,
		`target="shop",severity="critical"`:   true,
		`target="shop",severity="warning"`:    false,
		`alertname=~"High.*"`:                 true,
		`alertname=~"High"`:                   false, // the whole value
		`alertname=~"High(Errors|Latency)"`:   true,
		`target="shop",severity!="critical"`:  false,
		`target="shop",env!="dev"`:            true, // a label that is not there is empty
		`target="shop",env=""`:                true,
		`target="shop",severity!~"crit.*"`:    false,
		`target="shop",severity!~"warn|info"`: true,
	} {
		if got := (Silence{Matchers: matchers(t, text)}).Matches(alert); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if (Silence{}).Matches(alert) {
		t.Error("a silence without matchers silences everything")
	}
}

func TestASilenceIsToldInOneLine(t *testing.T) {
	s := Silence{ID: "0d1a", EndsAt: noon.In(time.FixedZone("", 7200)), CreatedBy: "eve\x1b[2J",
		Comment: "migration\n\"db\"\t" + strings.Repeat("x", 1000)}
	if got := s.String(); !strings.HasPrefix(got,
		`silenced by 0d1a until 2026-03-01T12:00:00Z by eve [2J "migration \"db\" xxx`) || len(got) > 300 {
		t.Error(got)
	}
	if got := (Silence{ID: "0d1a",
		EndsAt: noon}).String(); got != `silenced by 0d1a until 2026-03-01T12:00:00Z by unknown ""` {
		t.Error(got)
	}
}

func secret(t *testing.T, text string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestItSaysWhoAsks(t *testing.T) {
	p := newCluster().peer(t)
	token := secret(t, "one\n")
	c, err := New(Options{URLs: []string{p.url + "/"}, BearerTokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c *Client) string {
		t.Helper()
		if _, _, err := c.Silences(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p.requests[len(p.requests)-1].Header.Get("Authorization")
	}
	if got := ask(c); got != "Bearer one" {
		t.Error(got)
	}
	if err := os.WriteFile(token, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(c); got != "Bearer two" {
		t.Errorf("rotated: %s", got)
	}
	c, err = New(Options{URLs: []string{p.url}, Username: "watchdog", PasswordFile: secret(t, "p")})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(c); got != "Basic d2F0Y2hkb2c6cA==" {
		t.Error(got)
	}
	c, err = New(Options{URLs: []string{p.url}, BearerTokenFile: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Silences(t.Context()); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("%v", err)
	}
}

func TestItTrustsTheAuthoritiesItIsGiven(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") }))
	defer srv.Close()
	ca := secret(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	for file, want := range map[string]bool{ca: true, "": false} {
		c, err := New(Options{URLs: []string{srv.URL}, CAFile: file})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Silences(t.Context()); (err == nil) != want {
			t.Errorf("authorities %q: %v", file, err)
		}
	}
	for _, o := range []Options{{}, {URLs: []string{"alertmanager:9093"}},
		{URLs: []string{srv.URL}, Username: "u", BearerTokenFile: "f"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func FuzzSilences(f *testing.F) {
	f.Add([]byte("["+good+"]"), "a", "b")
	f.Add([]byte("["+head+`[{"name":"a","value":".*","isRegex":true,"isEqual":false}]}]`), "a", "")
	f.Add([]byte(`[{"matchers":[]}]`), "", "")
	f.Fuzz(func(t *testing.T, body []byte, name, value string) {
		all, _, err := decode(body)
		if err != nil && len(all) > 0 {
			t.Errorf("%v, and %d silences", err, len(all))
		}
		for _, s := range all {
			if s.ID == "" || len(s.Matchers) == 0 {
				t.Errorf("%+v", s)
			}
			s.Matches(map[string]string{name: value})
			if strings.ContainsAny(s.String(), "\n\x1b") {
				t.Errorf("%q", s.String())
			}
			if b, err := s.encode(); err != nil || len(b) == 0 {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestAlertmanagerIsNotAskedAtAMetadataService_S20(t *testing.T) {
	c, err := New(Options{URLs: []string{"http://169.254.169.254"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Silences(t.Context())
	if _, ok := errors.AsType[*httpclient.ForbiddenError](err); !ok {
		t.Errorf("got %v", err)
	}
	if f, ok := errors.AsType[*failure](err); !ok || !f.unsent {
		t.Errorf("%v: it certainly never reached anybody", err)
	}
}

func TestATokenIsNotCarriedToAnotherHost_S20(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(other.Close)
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{URLs: []string{s.URL}, BearerTokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Silences(t.Context()); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("got %v", err)
	}
}
