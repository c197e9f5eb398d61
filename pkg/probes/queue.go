package probes

import (
	"hash/fnv"
	"time"
)

// turns is a heap of slots by the time of their next turn (container/heap).
type turns []*slot

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].next.Before(t[j].next) }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)        { *t = append(*t, x.(*slot)) }
func (t *turns) Pop() any {
	last := (*t)[len(*t)-1]
	(*t)[len(*t)-1] = nil
	*t = (*t)[:len(*t)-1]
	return last
}

// firstTurn spreads entries over their interval by a hash of their key, the
// same after every start.
func firstTurn(e Entry, now time.Time) time.Time {
	sum := fnv.New64a()
	sum.Write([]byte(e.Target + "\x00" + e.Name))
	phase := time.Duration(mix(sum.Sum64()) % uint64(e.Interval))
	since := time.Duration(now.UnixNano() % int64(e.Interval))
	return now.Add((phase - since + e.Interval) % e.Interval)
}

// mix spreads the bits of a hash: FNV of names that differ only in their last
// letters differs too little for the modulus to spread them.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
