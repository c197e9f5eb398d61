package remediate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Hash returns the SHA-256 in hex that binds audit and approval to exactly this
// plan: its action, the object with its uid, and everything that would be
// written. The resourceVersion is left out, because it changes with every status
// update and does not affect the action.
func Hash(p incident.Plan) string {
	p.Object.ResourceVersion = ""
	b, err := json.Marshal(struct {
		Action  incident.Action `json:"action"`
		Object  incident.Object `json:"object"`
		Target  string          `json:"target"`
		Patch   any             `json:"patch"`
		Create  any             `json:"create"`
		Inverse any             `json:"inverse"`
		Lease   time.Duration   `json:"lease"`
		// Left out where there is none, so that plans of earlier versions keep their hash.
		Revision *incident.Template `json:"revision,omitempty"`
		Back     *incident.Template `json:"back,omitempty"`
	}{p.Action, p.Object, p.Target.String() + " " + p.Target.UID, canonical(p.Patch), canonical(p.Create),
		canonical(p.Inverse), p.Lease, p.Revision, p.Back})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonical makes documents equal that differ only in spacing or order of keys;
// anything that is not JSON is kept as it is.
func canonical(doc []byte) any {
	if len(doc) == 0 {
		return nil
	}
	v, err := decodeNumbers(doc)
	if err != nil {
		return string(doc)
	}
	return v
}
