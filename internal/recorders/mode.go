package recorders

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Mode is how a receiver answers well-formed requests.
type Mode string

// Modes. Only OK, Slow, Applied500 and, once a second, PerSecond record the request.
const (
	OK         Mode = ""
	Limited    Mode = "429"         // too many requests, Retry-After 1
	Calm       Mode = "420"         // the same, as Statuspage also says it
	Broken     Mode = "500"         // refused with a server error
	Applied500 Mode = "applied-500" // taken, but answered with a server error
	Slow       Mode = "slow"        // taken, answered after Options.SlowBy
	Hang       Mode = "hang"        // never answered; cut when the mode changes or the client leaves
	Reset      Mode = "reset"       // connection cut
	TooLarge   Mode = "413"         // bodies above 2 KiB are refused for their size; webhook, PagerDuty and e-mail only
	PerSecond  Mode = "1/s"         // one request a second, the others limited
	Refused    Mode = "400"         // refused for good
	Expired    Mode = "expired-tls" // the certificate of the whole server is not valid any more; see TLS
)

func allModes() []Mode {
	return []Mode{OK, Limited, Calm, Broken, Applied500, Slow, Hang, Reset, TooLarge, PerSecond, Refused, Expired}
}

func (m Mode) takes() bool {
	return m == OK || m == Applied500 || m == Slow || m == TooLarge || m == Expired
}

// Set changes how a receiver answers from now on, and cuts what hangs.
func (r *Recorder) Set(receiver string, m Mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modes[receiver] = m
	delete(r.served, receiver)
	close(r.moded)
	r.moded = make(chan struct{})
}

// setMode is Set for people: POST /mode?receiver=slack&mode=429.
func (r *Recorder) setMode(w http.ResponseWriter, req *http.Request) {
	receiver, m := req.FormValue("receiver"), Mode(req.FormValue("mode"))
	if m == "ok" {
		m = OK
	}
	if !slices.Contains(Receivers(), receiver) || !slices.Contains(allModes(), m) {
		answer(w, http.StatusBadRequest, map[string]string{"error": fmt.Sprintf("receiver=%q mode=%q; receiver is "+
			"one of %v, mode ok or one of %v", receiver, m, Receivers(), allModes()[1:])})
		return
	}
	r.Set(receiver, m)
	w.WriteHeader(http.StatusNoContent)
}

// effective is the mode for a request now; the lock must be held.
func (r *Recorder) effective(receiver string, now time.Time) Mode {
	m := r.modes[receiver]
	if m != PerSecond {
		return m
	}
	if now.Sub(r.served[receiver]) < time.Second {
		if receiver == Statuspage {
			return Calm
		}
		return Limited
	}
	r.served[receiver] = now
	return OK
}

// behave answers as an ill receiver does, and reports whether it is a well one. A refusal repeats the request, as those
// of many servers do: with the secrets in it.
func (r *Recorder) behave(w http.ResponseWriter, req *http.Request, q *Request, m Mode, moded <-chan struct{}) bool {
	receiver := q.Receiver
	repeated := fmt.Sprintf(": %s %s %.80s", req.URL.RequestURI(), req.Header.Get("Authorization"), q.Body)
	switch m {
	case OK, TooLarge, Expired:
		return true
	case Slow:
		late := time.NewTimer(r.o.SlowBy)
		defer late.Stop()
		select {
		case <-late.C:
			return true
		case <-req.Context().Done():
		}
	case Hang:
		select {
		case <-moded:
		case <-req.Context().Done():
		}
		cut()
	case Reset:
		cut()
	case Limited, Calm:
		w.Header().Set("Retry-After", "1")
		status, _ := strconv.Atoi(string(m))
		answer(w, status, sorry(receiver, "rate limit exceeded"+repeated))
	case Refused:
		status := http.StatusBadRequest
		if receiver == Slack {
			status = http.StatusOK // Slack's way of saying no
		}
		answer(w, status, sorry(receiver, "refused"+repeated))
	default:
		answer(w, http.StatusInternalServerError, sorry(receiver, "internal error"+repeated))
	}
	return false
}

// sorry is a body in the vendor's shape.
func sorry(receiver, text string) map[string]any {
	switch receiver {
	case PagerDuty:
		return map[string]any{"status": text, "message": text, "errors": []string{text}}
	case Slack:
		return map[string]any{"ok": false, "error": text}
	}
	return map[string]any{"error": text}
}

// cut ends the connection without an answer; a plain return would be a 200.
func cut() { panic(http.ErrAbortHandler) }
