package kube

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/responder"
)

// ErrUnknown says that a token is nobody's.
var ErrUnknown = errors.New("the API server rejected the token")

// Access asks the API server who somebody is and what they may. What it answered
// is believed for a moment: a yes for a few seconds, a no for one (SEC-03). That
// nobody could be asked is never an answer.
type Access struct {
	c         *Client
	namespace string
	now       func() time.Time
	review    func(context.Context, *authentication.TokenReview, metav1.CreateOptions) (*authentication.TokenReview,
		error)
	asking chan struct{} // one for each token that is being asked about

	mu      sync.Mutex
	persons map[[sha256.Size]byte]known[responder.Person]
	rights  map[string]known[string]
}

// known is an answer of the API server's.
type known[T any] struct {
	what  T
	no    error
	until time.Time
}

const (
	believeYes = 8 * time.Second // a right that is taken away is gone within ten
	believeNo  = time.Second
	maxKnown   = 1000 // answers of each kind that are kept

	// Strangers can make watchdog ask whose their tokens are: those who are known, who wait
	// for the same API server, do not queue behind all of theirs.
	maxAsking = 8
	askTime   = 3 * time.Second
)

// errBusy says that too many unknown tokens are being asked about.
var errBusy = errors.New("too many concurrent authentication requests; retry")

// NewAccess returns the access to watchdog's virtual resources in its namespace.
func NewAccess(c *Client, namespace string, now func() time.Time) *Access {
	return &Access{c: c, namespace: namespace, now: now, review: c.identity.TokenReviews().Create,
		asking: make(chan struct{}, maxAsking), persons: map[[sha256.Size]byte]known[responder.Person]{},
		rights: map[string]known[string]{}}
}

// Who returns whose token it is, or ErrUnknown. The token must be for one of the
// audiences, of which there must be one: else a token that any pod of the cluster was
// given for the API server would do. Any other error means that it cannot be told now.
func (a *Access) Who(ctx context.Context, token string, audiences []string) (responder.Person, error) {
	if len(audiences) == 0 {
		return responder.Person{}, errors.New("no token audience is configured")
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q", audiences, token))
	if k, ok := recall(a, a.persons, key); ok {
		return k.what, k.no
	}
	back, err := a.turn(ctx)
	if err != nil {
		return responder.Person{}, err
	}
	defer back()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := a.review(ctx, &authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: token,
		Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		return responder.Person{}, explain(request{"create", "tokenreviews.authentication.k8s.io", "", ""}, err)
	}
	k := known[responder.Person]{}
	switch s := r.Status; {
	case !s.Authenticated || s.User.Username == "", !slices.ContainsFunc(s.Audiences,
		func(x string) bool { return slices.Contains(audiences, x) }):
		// An authenticator that knows nothing of audiences answers without any.
		k.no = fmt.Errorf("%w for audience %s; create a token: kubectl create token NAME --audience %s", ErrUnknown,
			strings.Join(audiences, " or "), audiences[0])
	default:
		k.what = responder.Person{Name: s.User.Username, UID: s.User.UID, Groups: s.User.Groups,
			Extra: map[string][]string{}}
		for name, v := range s.User.Extra {
			k.what.Extra[name] = v
		}
	}
	remember(a, a.persons, key, k)
	return k.what, k.no
}

// turn waits until few enough tokens are being asked about.
func (a *Access) turn(ctx context.Context) (back func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	select {
	case a.asking <- struct{}{}:
		return func() { <-a.asking }, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}

// May returns nil if the person may update the sub-resource of incidents in
// watchdog's namespace, *responder.Refused if not, and another error if that cannot
// be told now.
func (a *Access) May(ctx context.Context, p responder.Person, right string) error {
	return a.allowed(ctx, p, authorization.ResourceAttributes{Verb: "update", Resource: "incidents",
		Subresource: right}, "docs/approvals.md")
}

// MayRead is May for what watchdog shows: the right to get incidents.
func (a *Access) MayRead(ctx context.Context, p responder.Person) error {
	return a.allowed(ctx, p, authorization.ResourceAttributes{Verb: "get", Resource: "incidents"}, "docs/api.md")
}

// MayReload is May for loading the configuration again. The resource exists in RBAC only.
func (a *Access) MayReload(ctx context.Context, p responder.Person) error {
	return a.allowed(ctx, p, authorization.ResourceAttributes{Verb: "update", Resource: "configurations"},
		"docs/api.md")
}

// allowed asks for a right on what of watchdog's is in its namespace. doc describes the
// Role that grants it.
func (a *Access) allowed(ctx context.Context, p responder.Person, right authorization.ResourceAttributes,
	doc string) error {
	right.Namespace, right.Group = a.namespace, group
	on := strings.TrimSuffix(right.Resource+"/"+right.Subresource, "/")
	key := fmt.Sprintf("%q %q %q %q %q %q", right.Verb, on, p.Name, p.UID, p.Groups, p.Extra)
	if k, ok := recall(a, a.rights, key); ok {
		return k.no
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	extra := map[string]authorization.ExtraValue{}
	for name, v := range p.Extra {
		extra[name] = v
	}
	review := &authorization.LocalSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace},
		Spec: authorization.SubjectAccessReviewSpec{User: p.Name, UID: p.UID, Groups: p.Groups, Extra: extra,
			ResourceAttributes: &right},
	}
	r, err := a.c.access.LocalSubjectAccessReviews(a.namespace).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return explain(request{"create", "localsubjectaccessreviews.authorization.k8s.io", a.namespace, ""}, err)
	}
	k := known[string]{}
	if !r.Status.Allowed || r.Status.Denied {
		k.no = &responder.Refused{Forbidden: true,
			Reason: fmt.Sprintf("%s is not allowed: the request needs the verb %s on %s of the group %s in namespace %s (a "+
				"Role as in %s)", p.Name, right.Verb, on, group, a.namespace, doc)}
	}
	remember(a, a.rights, key, k)
	return k.no
}

func recall[K comparable, T any](a *Access, m map[K]known[T], key K) (known[T], bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := m[key]
	return k, ok && a.now().Before(k.until)
}

func remember[K comparable, T any](a *Access, m map[K]known[T], key K, k known[T]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(m) >= maxKnown {
		clear(m)
	}
	k.until = a.now().Add(believeYes)
	if k.no != nil {
		k.until = a.now().Add(believeNo)
	}
	m[key] = k
}
