package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/secretfile"
)

// Sender is one system that may post alerts with a bearer token.
type Sender struct {
	Name string
	// TokenFile holds the token. It is read at every use, so that a token can be
	// changed without a restart.
	TokenFile string
}

var (
	errUnknownSender = errors.New("invalid or missing credentials; send the header Authorization: Bearer TOKEN, or " +
		"the credentials of the web configuration")
	errCannotTell = errors.New("cannot check credentials; see the log of watchdog")
)

// senders authenticates who posts. Without authentication nothing is accepted: there is no anonymous
// sender.
type senders struct {
	tokens    func() []Sender
	webConfig string // exporter-toolkit's file; empty for none
}

// of returns the authenticated name of a request's sender. A client certificate and
// basic auth were checked by the server (exporter-toolkit) before the request came
// here; both must be in the web configuration to count.
func (s senders) of(r *http.Request) (string, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return "certificate " + r.TLS.VerifiedChains[0][0].Subject.CommonName, nil
	}
	return s.byHeader(r)
}

// credentials returns the Authorization header of a request if it proves a sender, or
// nothing: beside a certificate there may be a person's token, which nobody else is to get.
func (s senders) credentials(r *http.Request) string {
	if _, err := s.byHeader(r); err != nil {
		return ""
	}
	return r.Header.Get("Authorization")
}

func (s senders) byHeader(r *http.Request) (string, error) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return s.byToken(strings.TrimSpace(credentials))
	case "basic":
		return s.byUser(r)
	}
	return "", errUnknownSender
}

// byToken compares with every token, in a time that does not tell which one it is
// like, or how long it is.
func (s senders) byToken(token string) (string, error) {
	given := sha256.Sum256([]byte(token))
	name, failed := "", error(nil)
	for _, t := range s.tokens() {
		want, err := secretfile.Read(t.TokenFile)
		if err != nil {
			failed = fmt.Errorf("%w: token of sender %s: %w", errCannotTell, t.Name, err)
			continue
		}
		hash := sha256.Sum256([]byte(want))
		if subtle.ConstantTimeCompare(given[:], hash[:]) == 1 {
			name = t.Name
		}
	}
	switch {
	case name != "":
		return name, nil
	case failed != nil:
		return "", failed
	}
	return "", errUnknownSender
}

// byUser believes a user name only if the web configuration has that user: then the
// server has compared the password, and let the request through.
func (s senders) byUser(r *http.Request) (string, error) {
	user, _, ok := r.BasicAuth()
	if !ok || s.webConfig == "" {
		return "", errUnknownSender
	}
	b, err := os.ReadFile(s.webConfig)
	if err != nil {
		return "", fmt.Errorf("%w: web configuration: %w", errCannotTell, err)
	}
	var c struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return "", fmt.Errorf("%w: web configuration %s: %w", errCannotTell, s.webConfig, err)
	}
	if _, known := c.Users[user]; !known {
		return "", errUnknownSender
	}
	return "user " + user, nil
}
