package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// readable reports whether others on the network can read what is sent to a replica.
func readable(base string) bool {
	u, err := url.Parse(base)
	return err != nil || u.Scheme != "https"
}

// guard returns an error if the credentials of a read must not be passed on to the
// leader: a person's token, which may be good for approving a plan, over plain HTTP.
// A user of the web configuration can read pages and post alerts, and nothing else.
func (f *Forward) guard(r *http.Request, base string) error {
	authorization := r.Header.Get("Authorization")
	scheme, _, _ := strings.Cut(authorization, " ")
	switch {
	case authorization == "" || !readable(base):
		return nil
	case strings.EqualFold(scheme, "basic"):
		f.warn(base)
		return nil
	}
	return fmt.Errorf("it does not pass your token on in plain HTTP. Ask the leader itself at %s, or let the replicas reach each other by TLS: chart value web.tls, or an https URL in --advertise-url", base)
}

// warn says that credentials of a sender or a user are about to travel in plain HTTP.
func (f *Forward) warn(base string) {
	if f.Readable != nil {
		f.Readable(base)
	}
}

// elsewhere answers that only the leader can, and where it is.
func elsewhere(w http.ResponseWriter, leader string, err error) {
	write(w, http.StatusServiceUnavailable, map[string]any{"status": "error", "error": "this replica does not lead, and " + err.Error(), "leader": leader})
}
