package recorders

import (
	"encoding/json"
	"net/http"
)

// smallBody is what a webhook takes in mode TooLarge.
const smallBody = 2 << 10

// webhook is any service that takes a POST with JSON in it. The action is the
// body's status, if it has one, the key the last part of the path.
func (r *Recorder) webhook(w http.ResponseWriter, req *http.Request) {
	b, err := body(req)
	var e struct {
		Status string `json:"status"`
	}
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil || !isJSON(req) {
		answer(w, http.StatusUnsupportedMediaType, map[string]any{"error": "JSON is wanted"})
		return
	}
	q := &Request{Receiver: Webhook, Action: e.Status, Key: req.PathValue("name"),
		Summary: req.Header.Get("Authorization"), Body: b}
	small := func(*Request) *refusal {
		if r.modes[Webhook] == TooLarge && len(b) > smallBody {
			return &refusal{http.StatusRequestEntityTooLarge, map[string]any{"error": "too large"}}
		}
		return nil
	}
	if r.take(w, req, q, small) {
		answer(w, http.StatusOK, map[string]any{"ok": true})
	}
}
