package sim

import (
	"container/heap"
	"time"
)

// epoch is when a simulated world begins that does not say otherwise.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// event is something that will happen. Equal times keep the order of scheduling.
type event struct {
	at  time.Time
	seq int
	// by is the replica that does it; -1: the world.
	by int
	do func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// clock is the world's time and what is due. A replica that waits for an answer
// holds its own events back; everybody else goes on.
type clock struct {
	now     time.Time
	seq     int
	queue   events
	waiting map[int]bool // replicas inside a call
}

func newClock(now time.Time) *clock { return &clock{now: now, waiting: map[int]bool{}} }

// after schedules the world's own events, as of their replica or of the world (-1).
func (c *clock) after(d time.Duration, by int, do func()) { c.at(c.now.Add(d), by, do) }

func (c *clock) at(t time.Time, by int, do func()) {
	if t.Before(c.now) {
		t = c.now
	}
	c.seq++
	heap.Push(&c.queue, event{t, c.seq, by, do})
}

// run lets everything happen that is due until the given time.
func (c *clock) run(until time.Time) {
	for len(c.queue) > 0 && !c.queue[0].at.After(until) {
		e := heap.Pop(&c.queue).(event)
		if c.waiting[e.by] {
			// It comes when the replica has its answer.
			c.at(e.at.Add(time.Second), e.by, e.do)
			continue
		}
		if e.at.After(c.now) {
			c.now = e.at
		}
		e.do()
	}
	if until.After(c.now) {
		c.now = until
	}
}

// wait lets time pass inside a call of a replica.
func (c *clock) wait(by int, d time.Duration) {
	if d <= 0 || c.waiting[by] {
		c.now = c.now.Add(max(0, d))
		return
	}
	c.waiting[by] = true
	c.run(c.now.Add(d))
	delete(c.waiting, by)
}
