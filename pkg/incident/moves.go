package incident

import (
	"slices"
	"time"
)

// Bounds of what is remembered. Guards look back less far.
const (
	keepMoves = 24 * time.Hour
	maxMoves  = 300
)

// Move is one change of a field that watchdog made.
type Move struct {
	Op     string `json:"op"`
	Object string `json:"object"` // uid
	Field  string `json:"field"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Was is the fingerprint of the pod template before the change, of those that
	// change it.
	Was string    `json:"was,omitempty"`
	At  time.Time `json:"at"`
}

// moved remembers a change of ours.
func (l Ledger) moved(m Move) Ledger {
	if m.Field == "" || m.Object == "" || slices.ContainsFunc(l.Moves, func(o Move) bool { return o.Op == m.Op }) {
		return l
	}
	l.Moves = append(slices.DeleteFunc(slices.Clone(l.Moves), func(o Move) bool { return m.At.Sub(o.At) > keepMoves }),
		m)
	l.Moves = l.Moves[max(0, len(l.Moves)-maxMoves):]
	return l
}

// Reverted remembers that a lease was taken back by the op with the given id.
func (l Ledger) Reverted(lease Lease, op string, now time.Time) Ledger {
	p := lease.Plan
	return l.moved(Move{Op: op, Object: p.Object.UID, Field: p.Field, From: p.After, To: p.Before, Was: p.Is, At: now})
}
