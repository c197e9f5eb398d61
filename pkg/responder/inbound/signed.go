package inbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// errForged is the only answer to a request that is not authenticated.
var errForged = errors.New("invalid signature, timestamp or body, or a replayed request")

// errBusy says that more requests came within a short time than can be remembered.
var errBusy = errors.New("too many requests within a few minutes to detect replays; try again later")

// signedBody reads the body of a vendor's request and returns it if genuine says that one of
// the secrets signed it. If not, it answers the request, and ok is false.
func signedBody(w http.ResponseWriter, r *http.Request, l *slog.Logger, vendor string, read func() ([]string, error),
	genuine func(secrets []string, body []byte) bool) (body []byte, ok bool) {
	secrets, err := read()
	if err != nil {
		l.Error("request refused: cannot check its signature", "vendor", vendor, "err", err)
		failUnread(w, http.StatusServiceUnavailable, "cannot check signatures; see the log for the cause")
		return nil, false
	}
	body, err = readBody(w, r, maxVendorBody)
	switch {
	case errors.Is(err, errTooLarge):
		failUnread(w, http.StatusRequestEntityTooLarge, err.Error())
		return nil, false
	case err != nil || !genuine(secrets, body):
		fail(w, http.StatusUnauthorized, errForged.Error())
		return nil, false
	}
	return body, true
}

// signed reports whether one of the signatures is that of one of the secrets over
// the parts. It takes the same time whichever it is, and however much of it fits.
func signed(secrets, signatures []string, parts ...string) bool {
	ok := false
	for _, secret := range secrets {
		m := hmac.New(sha256.New, []byte(secret))
		for _, p := range parts {
			m.Write([]byte(p))
		}
		sum := m.Sum(nil)
		for _, s := range signatures {
			given, err := hex.DecodeString(s)
			if err == nil && hmac.Equal(sum, given) {
				ok = true
			}
		}
	}
	return ok
}

// versioned returns what follows the version in each of a header's signatures that
// have the shape of one: without any, no body is worth reading.
func versioned(header, version string) []string {
	var all []string
	for part := range strings.SplitSeq(header, ",") {
		if s, ok := strings.CutPrefix(strings.TrimSpace(part), version); ok && isSum(s) && len(all) < maxSignatures {
			all = append(all, s)
		}
	}
	return all
}

const maxSignatures = 5

// isSum reports whether a text has the shape of a SHA-256 sum.
func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// once remembers what came, for as long as it would be taken. Only what was proved
// to be genuine is remembered, so strangers cannot fill it.
type once struct {
	keep time.Duration
	most int

	mu   sync.Mutex
	seen map[string]time.Time
}

func newOnce(keep time.Duration, most int) *once {
	return &once{keep: keep, most: most, seen: map[string]time.Time{}}
}

// first returns nil the first time that it is asked for the key. When it can
// remember no more it takes nothing, rather than something twice.
func (o *once) first(key string, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.seen[key]; ok && now.Sub(at) < o.keep {
		return errForged
	}
	if len(o.seen) >= o.most {
		for k, at := range o.seen {
			if now.Sub(at) >= o.keep {
				delete(o.seen, k)
			}
		}
		if len(o.seen) >= o.most {
			return errBusy
		}
	}
	o.seen[key] = now
	return nil
}

// forget lets the key pass once more: what came could not be worked.
func (o *once) forget(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.seen, key)
}
