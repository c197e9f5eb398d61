package responder

import "strings"

// Button is what a button beside an incident means: which action, on what. It is
// part of a message that many people see, so it does not identify the person.
type Button struct {
	Action   Action
	Incident string
	Op       string // of the request that is answered
	Plan     string // the whole hash
}

// Why is the button that asks a question and changes nothing.
const Why Action = "why"

const buttonPrefix = "watchdog_"

// ActionID is the button's name, and Value what it carries.
func (b Button) ActionID() string { return buttonPrefix + string(b.Action) }

// Value is what the button carries.
func (b Button) Value() string { return strings.Join([]string{b.Incident, b.Op, b.Plan}, "/") }

// ParseButton reads a button back. What is none of watchdog's is not understood.
func ParseButton(action, value string) (Button, bool) {
	verb, ours := strings.CutPrefix(action, buttonPrefix)
	parts := strings.Split(value, "/")
	if !ours || len(parts) != 3 || len(value) > maxButton {
		return Button{}, false
	}
	b := Button{Action: Action(verb), Incident: parts[0], Op: parts[1], Plan: parts[2]}
	switch b.Action {
	case Ack, Hold, Resume, Publish, Undo, Why:
		return b, b.Incident != ""
	case Approve, Deny:
		// A button answers one request with one plan, and never whatever is asked now.
		return b, b.Incident != "" && b.Op != "" && len(b.Plan) >= LeastOfPlan
	}
	return Button{}, false
}

// maxButton is far above the length of ids and a hash.
const maxButton = 512
