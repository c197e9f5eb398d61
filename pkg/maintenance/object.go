package maintenance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Spec is what people write of a window that is once.
type Spec struct {
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Targets []string  `json:"targets,omitempty"`
	Effects `json:",inline"`
	Silence bool    `json:"silence,omitempty"`
	Public  *Public `json:"public,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	By      string  `json:"by,omitempty"`
	// Communicated is where the window was announced, Standby who is on standby.
	Communicated string   `json:"communicated,omitempty"`
	Standby      []string `json:"standby,omitempty"`
	// Override are the rows of the checklist that were not met when it was started.
	Override []string `json:"override,omitempty"`
	// Extended are the changes of the end, oldest first; Ended is the word that the
	// work is over.
	Extended []Extension `json:"extended,omitempty"`
	Ended    *Word       `json:"ended,omitempty"`
}

// Word is who did something, when and why.
type Word struct {
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Extension is one change of a window's end.
type Extension struct {
	Word  `json:",inline"`
	Until time.Time `json:"until"` // the end before
}

// Status is what watchdog writes of a window.
type Status struct {
	Phase Phase `json:"phase,omitempty"`
	// First is the end that the window had when it was first seen.
	First time.Time `json:"firstUntil,omitzero"`
	// Silences are the ids of the silences at Alertmanager.
	Silences []string `json:"silences,omitempty"`
	// Public is the last state on the status page: scheduled, in_progress or completed.
	Public string `json:"public,omitempty"`
	// Pages accounts for the pages that the window held.
	Pages Account `json:"pages"`
	// Problem is what could not be done about the window.
	Problem string `json:"problem,omitempty"`
}

// Bounds of a window that is once.
const (
	maxLength  = 31 * 24 * time.Hour
	maxTargets = 1000
)

// Window is the window that a stored object means, or why it means none: one that
// cannot be understood has no effect.
func (s Spec) Window(name string, st Status) (Window, error) {
	switch {
	case s.From.IsZero() || s.Until.IsZero():
		return Window{}, errors.New("from and until are required")
	case !s.From.Before(s.Until):
		return Window{}, fmt.Errorf("until %s is not after from %s", s.Until.UTC().Format(time.RFC3339),
			s.From.UTC().Format(time.RFC3339))
	case s.Until.Sub(s.From) > maxLength:
		return Window{}, fmt.Errorf("window is longer than %d days; change the configuration instead",
			int(maxLength.Hours()/24))
	case len(s.Targets) > maxTargets:
		return Window{}, fmt.Errorf("too many targets: %d; the limit is %d", len(s.Targets), maxTargets)
	case s.Public != nil && s.Public.Name == "":
		return Window{}, errors.New("public.name is required")
	}
	if err := s.Effects.Check(); err != nil {
		return Window{}, err
	}
	w := Window{Name: name, From: s.From, Until: s.Until, First: st.First, Targets: slices.Clone(s.Targets),
		Effects: s.Effects, Silence: s.Silence, Public: s.Public, Reason: s.Reason, By: s.By}
	w.Remediate = cmp.Or(w.Remediate, RemediateOff)
	if s.Ended != nil {
		w.Ended = s.Ended.At
	}
	return w, nil
}
