package incident

// began keeps the earliest moment at which a condition of the incident began to hold:
// rules forget it when they clear.
func (s *step) began() {
	for _, a := range s.i.Alerts {
		if a.Firing && !a.ActiveAt.IsZero() && (s.i.BeganAt.IsZero() || a.ActiveAt.Before(s.i.BeganAt)) {
			s.i.BeganAt = a.ActiveAt
		}
	}
}
