package incident

// Maintenance is what maintenance windows mean for a target at a moment. The zero
// value: it is in none. What it says must not change from look to look.
type Maintenance struct {
	// Window says until when, by whom and why the target is in maintenance.
	Window string `json:"window,omitempty"`
	// Held says the same of the window that keeps people from being told; empty:
	// they are told.
	Held string `json:"held,omitempty"`
}

// maintained notes that a window began, changed or ended. What was held back is
// told with the step in which nothing holds it any more, if something fires still.
func (s *step) maintained(now Maintenance) {
	was := s.i.Maintenance
	if s.i.Maintenance = now; now == was {
		return
	}
	switch {
	case now.Held != "" && now.Held != was.Held:
		s.note(KindMaintenance, now.Held+"; notifications are held until it ends")
	case now.Held == "" && was.Held != "":
		s.note(KindHeard, "no maintenance window holds notifications any longer")
	case now.Window != "":
		s.note(KindMaintenance, now.Window)
	default:
		s.note(KindMaintenance, "ended")
	}
}
