package statuspage

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

var (
	calmly   = damping{PendingFor: 30 * time.Second, ClearAfter: 5 * time.Minute, MinUpdateInterval: 5 * time.Minute}
	nothing  = publicState{}
	looking  = publicState{"investigating", "partial_outage"}
	worse    = publicState{"investigating", "major_outage"}
	found    = publicState{"identified", "partial_outage"}
	watching = publicState{"monitoring", "partial_outage"}
	well     = publicState{"resolved", operational}
)

// run makes a history of states and how many seconds each has lasted.
func run(now time.Time, steps ...any) []moment {
	var h []moment
	at := now
	for k := len(steps) - 1; k > 0; k -= 2 {
		at = at.Add(-time.Duration(steps[k].(int)) * time.Second)
		h = append(h, moment{at, steps[k-1].(publicState)})
	}
	slices.Reverse(h)
	return h
}

func TestWhatThePublicReadsNext(t *testing.T) {
	now := notifytest.T0.Add(24 * time.Hour)
	ago := func(x publicState, seconds int) published {
		return published{x, now.Add(-time.Duration(seconds) * time.Second)}
	}
	yes, hold := incident.PublicAction{Publish: true}, incident.PublicAction{HoldUntil: now.Add(time.Hour)}
	hold.By = "alice"
	for name, c := range map[string]struct {
		q    question
		want decision
	}{
		"nothing was measured": {question{}, decision{}},
		"trouble has not lasted": {question{Measured: run(now, looking, 29)},
			decision{After: time.Second}},
		"trouble has lasted": {question{Measured: run(now, looking, 30)},
			decision{Post: looking}},
		"it began anew in between": {question{Measured: run(now, looking, 300, well, 5, looking, 10)},
			decision{After: 20 * time.Second}},
		"it could not be seen in between": {question{Measured: run(now, looking, 300, nothing, 5, looking,
			10)}, decision{After: 20 * time.Second}},
		"it cannot be seen now": {question{Measured: run(now, looking, 300, nothing, 60)},
			decision{}},
		"the step is new, the trouble is not": {question{Measured: run(now, looking, 60, found, 10)},
			decision{Post: looking}},
		"the step was taken back and again": {question{Measured: run(now, looking, 60, found, 60, looking, 60,
			found, 10), Published: ago(looking, 900)}, decision{After: 20 * time.Second}},
		"the furthest step that lasted": {question{Measured: run(now, looking, 60, found, 40, watching,
			31)}, decision{Post: watching}},
		"never backwards": {question{Measured: run(now, looking, 600),
			Published: ago(watching, 900)}, decision{}},
		"worse, and not backwards": {question{Measured: run(now, looking, 60, worse, 60),
			Published: ago(watching, 900)}, decision{Post: publicState{"monitoring", "major_outage"}}},
		"milder is no news before the end": {question{Measured: run(now, worse, 60, looking, 600),
			Published: ago(worse, 900)}, decision{}},
		"the end has not lasted": {question{Measured: run(now, looking, 60, well, 299),
			Published: ago(looking, 900)}, decision{After: time.Second}},
		"the end has lasted": {question{Measured: run(now, looking, 60, well, 300),
			Published: ago(looking, 900)}, decision{Post: well}},
		"what was never published does not end": {question{Measured: run(now, looking, 10, well, 900)}, decision{}},
		"what is over stays over": {question{Measured: run(now, looking, 900),
			Published: ago(well, 900)}, decision{}},
		"the page changed a moment ago": {question{Measured: run(now, looking, 60, found, 60),
			Published: ago(looking, 60)}, decision{After: 4 * time.Minute}},
		"another incident changed the component": {question{Measured: run(now, looking, 60),
			Changed: now.Add(-time.Minute)}, decision{After: 4 * time.Minute}},
		"a person holds the first post": {question{Measured: run(now, looking, 60), Word: hold},
			decision{After: time.Hour}},
		"a person holds the end": {question{Measured: run(now, well, 900),
			Published: ago(looking, 900), Word: hold}, decision{After: time.Hour}},
		"a hold that is over": {question{Measured: run(now, looking, 60),
			Word: incident.PublicAction{HoldUntil: now}}, decision{Post: looking}},
		"asked, and nobody said anything": {question{Measured: run(now, looking, 60), Ask: true},
			decision{Propose: looking}},
		"asked, a yes": {question{Measured: run(now, looking, 60), Ask: true, Word: yes},
			decision{Post: looking}},
		"a yes does not wait for the hold-down": {question{Measured: run(now, looking, 1), Ask: true, Word: yes},
			decision{Post: looking}},
		"a yes to what cannot be seen": {question{Measured: run(now, nothing, 60), Ask: true, Word: yes},
			decision{}},
		"asked, an automatic text": {question{Measured: run(now, looking, 60), Ask: true,
			Automatic: func(x publicState) bool { return x == looking }}, decision{Post: looking}},
		"asked, the automatic text is of another": {question{Measured: run(now, found, 60), Ask: true,
			Automatic: func(x publicState) bool { return x == looking }}, decision{Propose: found}},
		"asked once, the rest follows": {question{Measured: run(now, found, 60),
			Published: ago(looking, 900), Ask: true}, decision{Post: found}},
		"a hold counts for more than a proposal": {question{Measured: run(now, looking, 60), Ask: true, Word: hold},
			decision{After: time.Hour}},
		"only the latest is told after a pause": {question{Measured: run(now, looking, 60, found, 60, watching, 60,
			well, 400), Published: ago(looking, 900)}, decision{Post: well}},
		"a proposal says when more may be said": {question{Measured: run(now, looking, 60, found, 10), Ask: true},
			decision{Propose: looking, After: 20 * time.Second}},
		"an old receipt without a time is believed": {question{Measured: run(now, found, 60),
			Published: published{publicState{"investigating", ""}, time.Time{}}}, decision{Post: found}},
	} {
		c.q.Damping = calmly
		got := decide(c.q, now)
		got.Why = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// trace is what is measured of one component, second by second.
type trace []publicState

// flapping makes a trace of n seconds: states that last from seconds to minutes,
// and at last a calm.
func flapping(r *rand.Rand, n, calm int) trace {
	states := []publicState{nothing, looking, looking, worse, found, watching, well, well}
	var all trace
	for len(all) < n {
		x, length := states[r.IntN(len(states))], 1+r.IntN(40)
		if r.IntN(4) == 0 {
			length = 1 + r.IntN(900)
		}
		all = append(all, slices.Repeat(trace{x}, length)...)
	}
	end := []publicState{looking, worse, found, watching, well}[r.IntN(5)]
	return append(all[:n], slices.Repeat(trace{end}, calm)...)
}

// real counts, by looking at every second, the changes that lasted: each run of
// trouble, each further step of it, each recovery.
func (tr trace) real() int {
	trouble := func(x publicState) bool { return x.Status != "" && x.Status != "resolved" }
	count, n := 0, len(tr)
	for from := 0; from < n; {
		to := from
		for to < n && trouble(tr[to]) == trouble(tr[from]) && (trouble(tr[from]) || tr[to] == tr[from]) {
			to++
		}
		switch {
		case trouble(tr[from]):
			for _, rank := range []func(publicState) int{publicState.rank, publicState.weight} {
				for level := range 5 {
					length, reached := 0, false
					for k := from; k < to && !reached; k++ {
						if length++; rank(tr[k]) < level {
							length = 0
						}
						reached = length > int(calmly.PendingFor.Seconds())
					}
					// The run itself is level 0 of the one and the mildest of the other.
					if reached && (level > 0) && (level > 3 || rank(looking) < level) {
						count++
					}
				}
			}
			if to-from > int(calmly.PendingFor.Seconds()) {
				count++
			}
		case tr[from] == well && to-from > int(calmly.ClearAfter.Seconds()):
			count++
		}
		from = to
	}
	return count
}

// change is one thing that the public read.
type change struct {
	at time.Time
	publicState
}

// follow lets the decision follow a trace, one component long.
func (tr trace) follow(t *testing.T, by damping) (read []change, says publicState) {
	var q question
	q.Damping = by
	for second, x := range tr {
		now := notifytest.T0.Add(time.Duration(second) * time.Second)
		if n := len(q.Measured); n == 0 || q.Measured[n-1].publicState != x {
			q.Measured = append(q.Measured, moment{now, x})
		}
		d := decide(q, now)
		if d.Post == nothing {
			continue
		}
		if x == nothing {
			t.Fatalf("second %d: %+v is posted while nothing can be seen", second, d.Post)
		}
		if was := q.Published; was.Status != "" && (d.Post.rank() < was.rank() || d.Post.Status != "resolved" &&
			d.Post.weight() < was.weight()) {
			t.Fatalf("second %d: %+v after %+v", second, d.Post, was)
		}
		read = append(read, change{now, d.Post})
		q.Published, q.Changed = published{d.Post, now}, now
		if d.Post == well {
			q.Published = published{} // what comes next is another incident
		}
	}
	return read, q.Published.publicState
}

func TestAThousandFlappingTraces_W15(t *testing.T) {
	const calm = 20 * 60
	changes, reads, reals, eagerly := 0, 0, 0, 0
	for seed := range uint64(1000) {
		tr := flapping(rand.New(rand.NewPCG(seed, 15)), 3600, calm)
		read, says := tr.follow(t, calmly)
		real := tr.real()
		eager := calmly
		eager.MinUpdateInterval = 0
		if every, _ := tr.follow(t, eager); len(every) > real {
			t.Errorf("seed %d: without the pause between changes the public would read %d of %d: %v", seed, len(every),
				real, every)
		} else {
			eagerly += len(every)
		}
		if len(read) > real {
			t.Errorf("seed %d: the public read %d changes of %d: %v", seed, len(read), real, read)
		}
		for k := 1; k < len(read); k++ {
			if gap := read[k].at.Sub(read[k-1].at); gap < calmly.MinUpdateInterval {
				t.Errorf("seed %d: two changes within %s", seed, gap)
			}
		}
		end := tr[len(tr)-1]
		switch {
		case end == well && says != nothing:
			t.Errorf("seed %d: in the end all is well and the page says %+v", seed, says)
		case end != well && (says.rank() < end.rank() || says.weight() < end.weight()):
			t.Errorf("seed %d: in the end there is %+v and the page says %+v", seed, end, says)
		}
		for k := 1; k < len(tr); k++ {
			if tr[k] != tr[k-1] {
				changes++
			}
		}
		reads, reals = reads+len(read), reals+real
	}
	t.Logf("1000 traces of 1h20m: %d changes measured, %d of them lasted, %d read by the public (%d without the "+
		"pause between changes); none backwards, never two within %s", changes, reals, reads, eagerly,
		calmly.MinUpdateInterval)
}

// FuzzDecide: whatever was measured and posted, nothing is posted too soon,
// backwards, unseen, or against a person's word.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{1, 40, 4, 40, 6, 200}, uint8(0), uint16(400), uint8(0))
	f.Add([]byte{1, 3, 0, 9, 1, 31}, uint8(3), uint16(10), uint8(7))
	f.Fuzz(func(t *testing.T, steps []byte, was uint8, ago uint16, flags uint8) {
		states := []publicState{nothing, looking, worse, found, watching, well}
		now := notifytest.T0.Add(24 * time.Hour)
		var h []moment
		at := now
		for k := 0; k+1 < len(steps) && k < 60; k += 2 {
			at = at.Add(-time.Duration(steps[k+1]) * 2 * time.Second)
			h = append(h, moment{at, states[int(steps[k])%len(states)]})
		}
		slices.Reverse(h)
		q := question{Measured: h, Damping: calmly, Ask: flags&1 != 0, Word: incident.PublicAction{Publish: flags&2 != 0}}
		if flags&4 != 0 {
			q.Word.HoldUntil = now.Add(time.Minute)
		}
		if x := states[int(was)%len(states)]; x != nothing {
			q.Published = published{x, now.Add(-time.Duration(ago) * time.Second)}
		}
		d := decide(q, now)
		if d.After < 0 || d.Post != nothing && (d.After != 0 || d.Propose != nothing) {
			t.Fatalf("%+v", d)
		}
		if d.Post == nothing {
			return
		}
		last := h[len(h)-1]
		switch p := q.Published; {
		case q.Word.Held(now), last.publicState == nothing:
			t.Fatalf("posted %+v", d.Post)
		case p.Status == "" && (q.Ask && !q.Word.Publish || d.Post.Status == "resolved"):
			t.Fatalf("first posted %+v", d.Post)
		case p.Status != "" && (d.Post.rank() < p.rank() || d.Post == p.publicState ||
			now.Sub(p.At) < calmly.MinUpdateInterval):
			t.Fatalf("posted %+v after %+v", d.Post, p)
		case d.Post.Status == "resolved" && (last.publicState != well || now.Sub(last.At) < calmly.ClearAfter):
			t.Fatalf("posted the end after %s of %+v", now.Sub(last.At), last)
		}
	})
}
