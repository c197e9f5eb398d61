package maintenance

import "slices"

// Account follows the pages that a window holds: each ends as delivered, because what
// it is about was still bad when nothing held it any more, or as resolved meanwhile.
type Account struct {
	// Held are the ids of the incidents without notifications yet.
	Held      []string `json:"held,omitempty"`
	Delivered int      `json:"delivered,omitempty"`
	Resolved  int      `json:"resolved,omitempty"`
}

// Next takes the incidents that are held now. resolved reports whether one that is
// not any more has been resolved.
func (a Account) Next(held []string, resolved func(id string) bool) Account {
	next := Account{Held: slices.Sorted(slices.Values(held)), Delivered: a.Delivered, Resolved: a.Resolved}
	for _, id := range a.Held {
		switch {
		case slices.Contains(held, id):
		case resolved(id):
			next.Resolved++
		default:
			next.Delivered++
		}
	}
	return next
}

// Equal reports whether two accounts say the same.
func (a Account) Equal(b Account) bool {
	return a.Delivered == b.Delivered && a.Resolved == b.Resolved && slices.Equal(a.Held, b.Held)
}

// All is how many pages the window has ever held.
func (a Account) All() int { return len(a.Held) + a.Delivered + a.Resolved }
