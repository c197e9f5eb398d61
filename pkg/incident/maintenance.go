package incident

// Maintenance is what maintenance windows mean for a target at a moment. The zero
// value: it is in none. It must not change from evaluation to evaluation.
type Maintenance struct {
	// Window describes the window: until when, by whom and why.
	Window string `json:"window,omitempty"`
	// Held describes the window that holds notifications; empty: none does.
	Held string `json:"held,omitempty"`
}

// maintained notes that a window began, changed or ended. Held notifications
// are sent with the step after which no window holds them, if an alert still fires.
func (s *step) maintained(now Maintenance) {
	was := s.i.Maintenance
	if s.i.Maintenance = now; now == was {
		return
	}
	switch {
	case now.Held != "" && now.Held != was.Held:
		s.note(KindMaintenance, now.Held+"; notifications are held until it ends")
	case now.Held == "" && was.Held != "":
		s.note(KindUnmuted, "no maintenance window holds notifications any longer")
	case now.Window != "":
		s.note(KindMaintenance, now.Window)
	default:
		s.note(KindMaintenance, "ended")
	}
}
