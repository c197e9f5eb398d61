package kube

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"watchdog.io/watchdog/pkg/responder"
)

// guard is the part of an API server that says who somebody is and what they may.
type guard struct {
	*httptest.Server
	tokens  map[string]string // name by token
	allowed []string          // "alice ack"
	// audience that tokens are for, if the authenticator knows of audiences.
	audience string
	down     bool
	asked    []string
}

func newGuard(t *testing.T) (*guard, *Client) {
	t.Helper()
	g := &guard{tokens: map[string]string{"t-alice": "alice"}, allowed: []string{"alice ack"}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, r *http.Request) {
		var v authentication.TokenReview
		_ = json.NewDecoder(r.Body).Decode(&v)
		g.asked = append(g.asked, "who "+v.Spec.Token)
		name, ok := g.tokens[v.Spec.Token]
		if len(v.Spec.Audiences) > 0 && g.audience != "" {
			ok = ok && slices.Contains(v.Spec.Audiences, g.audience)
			v.Status.Audiences = []string{g.audience}
		}
		v.Status.Authenticated, v.Status.User = ok, authentication.UserInfo{Username: name, UID: "u1",
			Groups: []string{"sre"}, Extra: map[string]authentication.ExtraValue{"scopes": {"a"}}}
		g.say(w, v)
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/namespaces/watchdog/localsubjectaccessreviews",
		func(w http.ResponseWriter, r *http.Request) {
			var v authorization.LocalSubjectAccessReview
			_ = json.NewDecoder(r.Body).Decode(&v)
			a := v.Spec.ResourceAttributes
			g.asked = append(g.asked, v.Spec.User+" "+a.Subresource)
			v.Status.Allowed = slices.Contains(g.allowed, v.Spec.User+" "+a.Subresource) && a.Group == "watchdog.io" &&
				a.Resource == "incidents" && a.Verb == "update" && a.Namespace == "watchdog" && a.Name == ""
			g.say(w, v)
		})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	c, err := connect(&rest.Config{Host: g.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json",
		AcceptContentTypes: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return g, c
}

func (g *guard) say(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if g.down {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcd is away","code":500}`))
		return
	}
	_ = json.NewEncoder(w).Encode(v)
}

func TestRightsAreAskedAndBelievedForAMoment_SEC03(t *testing.T) {
	g, c := newGuard(t)
	now := time.Now()
	a := NewAccess(c, "watchdog", func() time.Time { return now })
	alice, bob := responder.Person{Name: "alice"}, responder.Person{Name: "bob"}
	var no *responder.Refused
	may := func(p responder.Person, right string) error { return a.May(t.Context(), p, right) }
	if err := may(alice, "ack"); err != nil {
		t.Fatal(err)
	}
	if err := may(alice, "approval"); !errors.As(err, &no) || !no.Forbidden ||
		!strings.Contains(err.Error(), "incidents/approval") {
		t.Errorf("%v", err)
	}
	if err := may(bob, "ack"); !errors.As(err, &no) {
		t.Errorf("%v", err)
	}
	if err := may(responder.Person{Name: "alice", Groups: []string{"x"}}, "ack"); err != nil || len(g.asked) != 4 {
		t.Errorf("%v; another set of groups is another question: %v", err, g.asked)
	}
	// Taken away: it is over within ten seconds. Given: it is there within one.
	g.allowed = []string{"bob ack"}
	now = now.Add(believeYes - time.Millisecond)
	if err := may(alice, "ack"); err != nil {
		t.Errorf("a yes is believed for %s: %v", believeYes, err)
	}
	if err := may(bob, "ack"); err != nil {
		t.Errorf("a no is believed for %s only: %v", believeNo, err)
	}
	now = now.Add(2 * time.Millisecond)
	if err := may(alice, "ack"); !errors.As(err, &no) {
		t.Errorf("revoked %s ago, and still: %v", believeYes, err)
	}
	g.down = true
	now = now.Add(believeYes)
	if err := may(bob, "ack"); err == nil || errors.As(err, &no) {
		t.Errorf("nobody could be asked, and the answer is %v", err)
	}
}

func TestATokenIsSomebodys_SEC03(t *testing.T) {
	g, c := newGuard(t)
	now := time.Now()
	a := NewAccess(c, "watchdog", func() time.Time { return now })
	who := func(token string) (responder.Person, error) { return a.Who(t.Context(), token, []string{"watchdog"}) }
	g.audience = "watchdog"
	p, err := who("t-alice")
	if err != nil || p.Name != "alice" || p.UID != "u1" || !slices.Equal(p.Groups, []string{"sre"}) ||
		!slices.Equal(p.Extra["scopes"], []string{"a"}) {
		t.Errorf("%+v, %v", p, err)
	}
	for range 3 {
		if _, err := who("t-eve"); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v", err)
		}
	}
	if len(g.asked) != 2 {
		t.Errorf("asked %v", g.asked)
	}
	g.down = true
	if _, err := who("t-bob"); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("nobody could be asked, and the answer is %v", err)
	}
}

// A flood of tokens that are nobody's takes no more than a few questions at a time from
// whoever else asks the API server, and does not hold up those who are known.
func TestAFloodOfTokensIsNoneOfQuestions_S04_SEC29(t *testing.T) {
	_, c := newGuard(t)
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		a := NewAccess(c, "watchdog", time.Now)
		a.review = func(_ context.Context, r *authentication.TokenReview,
			_ metav1.CreateOptions) (*authentication.TokenReview, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			if r.Spec.Token == "alice" {
				r.Status = authentication.TokenReviewStatus{Authenticated: true, Audiences: r.Spec.Audiences,
					User: authentication.UserInfo{Username: "alice"}}
			}
			return r, nil
		}
		who := func(token string) error { _, err := a.Who(t.Context(), token, []string{"watchdog"}); return err }
		if err := who("alice"); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var unknown, later atomic.Int64
		for n := range 500 {
			all.Go(func() {
				switch err := who(strconv.Itoa(n)); {
				case errors.Is(err, ErrUnknown):
					unknown.Add(1)
				case errors.Is(err, errBusy):
					later.Add(1)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := who("alice"); err != nil || time.Since(began) != 0 {
			t.Errorf("who is known waited %s for tokens that are nobody's: %v", time.Since(began), err)
		}
		all.Wait()
		if most.Load() != maxAsking || unknown.Load() < 3*maxAsking || unknown.Load()+later.Load() != 500 {
			t.Errorf("%d questions at once, %d answered, %d told to come later", most.Load(), unknown.Load(),
				later.Load())
		}
	})
}

func TestATokenForAnotherAudienceIsNobodys_S22(t *testing.T) {
	for _, tt := range []struct {
		name      string
		made      string // the audience of the token; "": the authenticator knows of none
		audiences []string
		says      string // "": it is alice's
	}{
		{"for watchdog", "watchdog", []string{"watchdog"}, ""},
		{"for one of several", "https://kubernetes.default.svc", []string{"watchdog", "https://kubernetes.default.svc"},
			""},
		{"for the API server", "https://kubernetes.default.svc", []string{"watchdog"},
			"kubectl create token NAME --audience watchdog"},
		{"for another program", "vault", []string{"watchdog", "ops"},
			"for audience watchdog or ops; create a token: kubectl create token NAME --audience watchdog"},
		{"an authenticator that leaves the audience out has not checked it", "", []string{"watchdog"},
			"kubectl create token NAME --audience watchdog"},
	} {
		g, c := newGuard(t)
		g.audience = tt.made
		p, err := NewAccess(c, "watchdog", time.Now).Who(t.Context(), "t-alice", tt.audiences)
		switch {
		case tt.says == "" && (err != nil || p.Name != "alice"):
			t.Errorf("%s: %+v, %v", tt.name, p, err)
		case tt.says != "" && (!errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: %+v, %v", tt.name, p, err)
		}
	}
	g, c := newGuard(t)
	if p, err := NewAccess(c, "watchdog", time.Now).Who(t.Context(), "t-alice", nil); err == nil ||
		errors.Is(err, ErrUnknown) || len(g.asked) != 0 {
		t.Errorf("without an audience: %+v, %v, asked %v", p, err, g.asked)
	}
}

func TestWhatIsBelievedIsBounded(t *testing.T) {
	_, c := newGuard(t)
	a := NewAccess(c, "watchdog", time.Now)
	for k := range maxKnown + 5 {
		remember(a, a.rights, strings.Repeat("x", k), known[string]{})
	}
	if n := len(a.rights); n > maxKnown {
		t.Errorf("%d answers are kept", n)
	}
}
