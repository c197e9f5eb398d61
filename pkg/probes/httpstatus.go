package probes

import (
	"fmt"
	"net/http"
	"strings"

	"watchdog.io/watchdog/pkg/strutil"
)

// refuseStatus says what a status means to a probe that wants a document; nil
// for 2xx.
func refuseStatus(what string, got answer) error {
	switch {
	case got.status >= 500:
		return &badError{fmt.Sprintf("%s: status %s", what, statusText(got.status))}
	case got.status >= 200 && got.status < 300:
		return nil
	case got.status >= 300 && got.status < 400:
		return redirected(what, got)
	case got.status == http.StatusUnauthorized || got.status == http.StatusForbidden:
		return fmt.Errorf("%s: status %s: check the probe's credentials", what, statusText(got.status))
	default:
		return fmt.Errorf("%s: status %s: check the probe's url", what, statusText(got.status))
	}
}

func redirected(what string, got answer) error {
	return fmt.Errorf("%s: status %s: redirect to %q not followed: set the probe's url to the final address",
		what, statusText(got.status), strutil.Cut(got.location, 100))
}

func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}
