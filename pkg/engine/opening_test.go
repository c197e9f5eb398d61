package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// halfStore makes the objects of new incidents and fails to write their status, while fails is set.
type halfStore struct {
	*world
	mu2   sync.Mutex
	fails bool
	made  map[string]bool
}

func (h *halfStore) SaveIncident(ctx context.Context, i incident.Incident, version string) (string, error) {
	h.mu2.Lock()
	defer h.mu2.Unlock()
	if version == "" {
		h.made[i.ID] = true
	}
	if h.fails {
		return "", errors.New("patch incidents/status: the server could not find the requested resource")
	}
	return h.world.SaveIncident(ctx, i, version)
}

// An incident that cannot be stored is tried again under its id, and not as another one each time.
func TestAnIncidentThatCannotBeStoredKeepsItsId(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return true })
		half := &halfStore{world: s.world, fails: true, made: map[string]bool{}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s.instead = half
		s.start(ctx, done)
		for range 60 {
			time.Sleep(10 * time.Second)
			s.engine.Wake("shop")
		}
		synctest.Wait()
		if len(half.made) != 1 || len(s.told) != 0 {
			t.Errorf("%d objects made, %d incidents told", len(half.made), len(s.told))
		}
		half.mu2.Lock()
		half.fails = false
		half.mu2.Unlock()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if i := s.only(); !half.made[i.ID] || len(half.made) != 1 || !i.Paged || len(s.stored(t)) != 1 {
			t.Errorf("told %+v of %v", i, half.made)
		}
		n := 0
		for _, r := range s.audits {
			if r.Kind == string(incident.KindFiring) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("opened %d times on record", n)
		}
	})
}

// An open incident that somebody deletes blocks nothing: it ends for its receivers, and what fires is opened anew.
func TestAnOpenIncidentThatIsDeletedIsOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.response = hour{}
		s.sick = sickWhile(func(*world) bool { return true })
		go func() {
			time.Sleep(time.Minute)
			s.mu.Lock()
			defer s.mu.Unlock()
			for name := range s.objects {
				if strings.HasPrefix(name, "i/") {
					delete(s.objects, name)
				}
			}
		}()
		alone(t, s, 3*time.Hour)
		open, over := 0, 0
		for _, i := range s.told {
			if i.Phase == incident.Resolved {
				over++
			} else if open++; !i.Paged || i.Unanswered == 0 {
				t.Errorf("the new one: %+v", i)
			}
		}
		if open != 1 || over != 1 || len(s.stored(t)) != 1 || !s.audited("this incident was deleted") {
			t.Errorf("%d open, %d over, %d stored", open, over, len(s.stored(t)))
		}
	})
}

// What is deleted while an op of it is under way goes on under its id: the op is settled as its own.
func TestAnIncidentThatIsDeletedWithAnOpGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		var scaled time.Time
		s.sick = sickWhile(func(w *world) bool {
			if w.replicas == 4 && scaled.IsZero() {
				scaled = time.Now()
			}
			return scaled.IsZero() || time.Since(scaled) < 30*time.Second // it still fires when the incident is gone
		})
		id := ""
		go func() {
			for id == "" {
				time.Sleep(100 * time.Millisecond)
				for _, i := range s.stored(t) {
					if i.Op != nil && i.Op.Phase == incident.Settling {
						id = i.ID
					}
				}
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.objects, "i/"+id)
		}()
		alone(t, s, 10*time.Minute)
		if i := s.only(); i.ID != id || i.Phase != incident.Resolved || len(i.Attempts) != 1 || len(s.accepted()) != 1 {
			t.Errorf("deleted %q: %s %s, %d attempts, %d writes", id, i.ID, i.Phase, len(i.Attempts), len(s.accepted()))
		}
	})
}
