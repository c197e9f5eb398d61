package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/responder"
)

// GateOptions are the edges of a Gate.
type GateOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Settings are asked at each request, as a reload may change them.
	Settings func() GateSettings
	// WebConfig is the file that Serve was given: its users and client certificates may read.
	WebConfig string
	// Who returns whose Kubernetes token it is; errors for which Unknown says so are the
	// caller's, all others mean that it is unknown now.
	Who     func(ctx context.Context, token string) (responder.Person, error)
	Unknown func(error) bool
	// MayRead and MayReload return nil, *responder.Refused, or that it is unknown now.
	MayRead, MayReload func(context.Context, responder.Person) error
}

// GateSettings are the configuration of who may read.
type GateSettings struct {
	// Open lets everybody read who reaches the port.
	Open bool
	// TokenFiles hold one token each that may read.
	TokenFiles []string
	// Hosts are names by which browsers may read beside those that cannot be a stranger's.
	Hosts []string
}

// Gate lets those read who may, and those load the configuration again who may (SEC-04).
// It asks the API server whose a token is, and what its owner may; both answers are kept
// for a few seconds, so that most reads cost no request.
type Gate struct {
	o       GateOptions
	refused *prometheus.CounterVec

	mu     sync.Mutex
	logged map[string]bool
}

// maxToken is above what an API server issues.
const maxToken = 16 << 10

// Reasons of refused requests, the label of the metric.
const (
	noProof     = "unauthenticated" // no token, or nobody's
	noRight     = "forbidden"
	noAnswer    = "unavailable" // nobody can be asked
	foreignHost = "host"
)

// NewGate returns a gate.
func NewGate(o GateOptions) *Gate {
	g := &Gate{o: o, logged: map[string]bool{}}
	g.refused = promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog",
		Subsystem: "http", Name: "refused_requests_total",
		Help: "Rejected reads and reloads, by reason: unauthenticated (no or an unknown token), forbidden " +
			"(RBAC), unavailable (the Kubernetes API does not respond), host (a browser with an unknown host name: " +
			"possible " +
			"DNS rebinding)."}, []string{"reason"})
	for _, reason := range []string{noProof, noRight, noAnswer, foreignHost} {
		g.refused.WithLabelValues(reason)
	}
	return g
}

// read serves next to those who may read.
func (g *Gate) read(next http.Handler) http.Handler {
	return g.guard(next, true)
}

// reload serves next to those who may load the configuration again: by a Kubernetes token
// only, for all else may be shared by many.
func (g *Gate) reload(next http.Handler) http.Handler {
	return g.guard(next, false)
}

func (g *Gate) guard(next http.Handler, reads bool) http.Handler {
	if g == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if no := g.admit(r, reads); no != nil {
			g.refuse(w, r, *no)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit returns nil, or why the request is not answered.
func (g *Gate) admit(r *http.Request, reads bool) *refusal {
	set := g.o.Settings()
	if reads {
		switch known, err := g.bySharedProof(r, set); {
		case err != nil:
			return err
		case known:
			return nil
		}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxToken {
		return &refusal{status: http.StatusUnauthorized, reason: noProof,
			text: "send a token in the header Authorization: Bearer TOKEN; kubectl create token NAME --audience " +
				"watchdog makes one for the ServiceAccount NAME (docs/api.md)"}
	}
	p, no := g.who(r, token)
	if no != nil {
		return no
	}
	may := g.o.MayReload
	if reads {
		may = g.o.MayRead
	}
	err := may(r.Context(), p)
	denied := (*responder.Refused)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return &refusal{status: http.StatusForbidden, reason: noRight, text: denied.Reason}
	}
	g.once("Rejecting requests: cannot check the sender's rights with the API server", err)
	return &refusal{status: http.StatusServiceUnavailable, reason: noAnswer,
		text: "cannot check your permissions: the Kubernetes API did not respond; try again"}
}

// bySharedProof reports whether the request may read by what is not one person's: a read
// token, a user or certificate of the web configuration, or because everybody may. All
// but the first may be sent by a browser because a stranger's page asks it to.
func (g *Gate) bySharedProof(r *http.Request, set GateSettings) (bool, *refusal) {
	known := senders{webConfig: g.o.WebConfig, tokens: func() []Sender {
		all := make([]Sender, len(set.TokenFiles))
		for i, f := range set.TokenFiles {
			all[i] = Sender{Name: f, TokenFile: f}
		}
		return all
	}}
	if credentials := known.credentials(r); credentials != "" && !isBasic(credentials) {
		return true, nil
	}
	_, err := known.of(r)
	if errors.Is(err, errCannotTell) {
		g.once("cannot use a file of readers' credentials", err)
	}
	switch {
	case err != nil && !set.Open:
		return false, nil
	case !ownHost(r.Host, set.Hosts):
		return false, &refusal{status: http.StatusMisdirectedRequest, reason: foreignHost, text: foreign(r.Host) +
			", or send a token"}
	}
	return true, nil
}

// who asks whose token it is.
func (g *Gate) who(r *http.Request, token string) (responder.Person, *refusal) {
	p, err := g.o.Who(r.Context(), token)
	switch {
	case err == nil:
		return p, nil
	case g.o.Unknown(err):
		return p, &refusal{status: http.StatusUnauthorized, reason: noProof, text: err.Error()}
	}
	g.once("Rejecting requests: cannot check tokens with the API server", err)
	return p, &refusal{status: http.StatusServiceUnavailable, reason: noAnswer,
		text: "cannot authenticate the token: the Kubernetes API did not respond; try again; a token of " +
			"api.read_token_files works without the API"}
}

// refuse answers, counts, and logs the first of each reason.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, no refusal) {
	g.refused.WithLabelValues(no.reason).Inc()
	g.once("Rejected a request; further ones for the same reason are only counted", no, "reason", no.reason, "path",
		r.URL.Path, "from", r.RemoteAddr)
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	fail(w, no.status, no.text)
}

// once logs a text the first time it is said, with the first reason.
func (g *Gate) once(text string, err error, args ...any) {
	key := fmt.Sprint(text, args[:min(2, len(args))])
	g.mu.Lock()
	first := !g.logged[key]
	g.logged[key] = true
	g.mu.Unlock()
	if first {
		g.o.Logger.Warn(text, append(args, "err", err)...)
	}
}

// ownHost reports whether the name by which a request came cannot be a stranger's. A
// page of a stranger's whose name is made to resolve to watchdog's address asks by that
// name (DNS rebinding). Addresses, localhost and names that only a cluster's DNS resolves
// are nobody else's.
func ownHost(hostport string, more []string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if slices.ContainsFunc(more, func(n string) bool { return strings.EqualFold(n, host) }) {
		return true
	}
	return host != "" && !strings.Contains(host, ".") ||
		slices.ContainsFunc([]string{".svc", ".cluster.local", ".localhost"},
			func(end string) bool { return strings.HasSuffix(host, end) })
}

func foreign(host string) string {
	return fmt.Sprintf("%.100q is not a known host name of watchdog; rejected to prevent DNS rebinding: add the name to "+
		"api.hosts", host)
}

// strangersPages refuses what would change something and what a browser sends because a
// page of another origin requested it.
func strangersPages(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}

func isBasic(authorization string) bool {
	scheme, _, _ := strings.Cut(authorization, " ")
	return strings.EqualFold(scheme, "basic")
}
