package notify

// Heir is a receiver that goes on with what its predecessor knows.
type Heir interface{ Inherit(old Notifier) }

// Inherit lets the receivers of a new configuration, which nobody uses yet, go on
// with what those of the old one know.
func Inherit(next, old []Notifier) {
	for _, n := range next {
		h, ok := n.(Heir)
		if !ok {
			continue
		}
		for _, o := range old {
			if o.Name() == n.Name() {
				h.Inherit(o)
			}
		}
	}
}
