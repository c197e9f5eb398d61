package notify

import (
	"net/http"
	"time"

	"watchdog.io/watchdog/pkg/httpclient"
)

// AttemptTimeout bounds one request to a receiver.
const AttemptTimeout = 10 * time.Second

// HTTPClient follows no redirects: a token must not travel to another host.
func HTTPClient() *http.Client {
	return httpclient.New(nil, AttemptTimeout)
}

// Patient is a receiver that makes several requests at one attempt.
type Patient interface{ Patience() time.Duration }

// MaxAnswer bounds what is read of an answer.
const MaxAnswer = 1 << 20
