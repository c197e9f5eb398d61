package outbox

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// pager is a paging tool in memory: one incident there per dedup key.
type pager struct {
	name, standsInFor string
	ill               func(ctx context.Context) error

	mu     sync.Mutex
	opened map[string][]time.Time
	closed map[string]int
}

func newPager(name, other string) *pager {
	return &pager{name: name, standsInFor: other, opened: map[string][]time.Time{}, closed: map[string]int{}}
}

func (p *pager) Name() string { return p.name }

func (p *pager) FallbackFor() string { return p.standsInFor }

func (p *pager) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if prev.State == "" && i.Phase == incident.Resolved || prev.Digest == notify.News(i) {
		return prev, nil
	}
	if p.ill != nil {
		if err := p.ill(ctx); err != nil {
			return prev, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.Phase == incident.Resolved {
		p.closed[i.ID]++
	} else {
		p.opened[i.ID] = append(p.opened[i.ID], time.Now())
	}
	return incident.Receipt{Ref: i.ID, State: notify.Firing(i), Digest: notify.News(i)}, nil
}

// TestAPrimaryThatIsDeadForAnHour is goal G14: an incident a second, P0 and P1, while
// the first receiver hangs for half of an hour and refuses connections for the other.
func TestAPrimaryThatIsDeadForAnHour_G14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		primary, spare, other := newPager("primary", ""), newPager("spare", "primary"), newPager("other", "")
		primary.ill = func(ctx context.Context) error {
			switch at := time.Since(begin); {
			case at < 30*time.Minute:
				<-ctx.Done()
				return ctx.Err()
			case at < time.Hour:
				return errors.New("connection refused")
			}
			return nil
		}
		x := outbox(t, t.TempDir(), nil, primary, spare, other)
		x.keep = func(string, []byte) error { return nil } // nobody reads what an hour writes, and it takes long
		stop := notifytest.Running(t, x)
		decided := map[string]time.Time{}
		all := int(time.Hour / time.Second)
		for n := range all {
			i := many(n)
			i.Severity = []incident.Severity{incident.P0, incident.P1}[n%2]
			i.UpdatedAt = time.Now()
			decided[i.ID] = time.Now()
			x.Tell(i)
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		slowest, slowestOther := time.Duration(0), time.Duration(0)
		for id, at := range decided {
			notified := spare.opened[id]
			if at.Sub(begin) >= time.Hour-fallbackAfter && len(notified) == 0 {
				notified = primary.opened[id] // it was back in time
			}
			if len(notified) != 1 || len(other.opened[id]) != 1 || len(primary.opened[id]) > 1 {
				t.Fatalf("%s: opened %d times at the fallback, %d at another receiver, %d at the primary", id,
					len(spare.opened[id]), len(other.opened[id]), len(primary.opened[id]))
			}
			slowest, slowestOther = max(slowest, notified[0].Sub(at)), max(slowestOther, other.opened[id][0].Sub(at))
		}
		if slowest > time.Minute || slowestOther > 0 {
			t.Errorf("the fallback took up to %s, another receiver up to %s", slowest, slowestOther)
		}
		if n := len(primary.opened); n != all {
			t.Errorf("the primary came back and was told of %d of %d", n, all)
		}
		for id := range maps.Keys(decided) {
			var n int
			for _, c := range id[len("01inc"):] {
				n = n*10 + int(c-'0')
			}
			i := notifytest.Over(many(n))
			i.UpdatedAt = time.Now()
			x.Tell(i)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		stop()
		for _, p := range []*pager{primary, spare, other} {
			for id := range p.opened {
				if p.closed[id] != 1 {
					t.Fatalf("%s: %s was closed %d times", p.name, id, p.closed[id])
				}
			}
		}
		t.Logf("%d incidents; told by the fallback within %s", all, slowest)
	})
}
