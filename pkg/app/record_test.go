package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// fullDisk is an audit record whose disk is full, or not.
type fullDisk struct{ err error }

func (d *fullDisk) Try() error { return d.err }

// A replica whose disk is full stops leading, and stands again once there is room.
func TestAReplicaThatCannotRecordDoesNotLead_S09(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{}
		r := &record{log: disk, changed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		terms, over := 0, 0
		done := make(chan bool)
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				writable, cancel, ok := r.await(ctx)
				if !ok {
					return
				}
				terms++
				<-writable.Done()
				over++
				cancel()
			}
		}()
		look := func(err error) bool {
			disk.err = err
			_, news := r.look()
			synctest.Wait()
			return news
		}
		full := errors.New("no space left on device")
		for _, step := range []struct {
			err         error
			news        bool
			terms, over int
		}{{nil, false, 1, 0}, {full, true, 1, 1}, {full, false, 1, 1}, {nil, true, 2, 1}, {nil, false, 2, 1}, {full, true, 2, 2}} {
			if news := look(step.err); news != step.news || terms != step.terms || over != step.over || !errors.Is(r.closed(), step.err) {
				t.Errorf("%v: news %v, %d terms, %d over, closed %v; want %+v", step.err, news, terms, over, r.closed(), step)
			}
		}
		stop()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("it waits for the disk although it was told to stop")
		}
	})
}

func TestTheLedgerKeepsTheAnchorsOfTheLastLogs_SEC26(t *testing.T) {
	var l incident.Ledger
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	names := "abcdefghij"
	for n, c := range names {
		was := l
		l = l.WithAnchor(string(c), incident.Anchor{Seq: uint64(n), At: at.Add(time.Duration(n) * time.Minute)})
		if _, there := was.Anchors[string(c)]; there {
			t.Fatal("the ledger that was read changed")
		}
	}
	l = l.WithAnchor("j", incident.Anchor{Seq: 100, At: at.Add(time.Hour)})
	if len(l.Anchors) != 8 || l.Anchors["j"].Seq != 100 || l.Anchors["c"].Seq != 2 {
		t.Errorf("%v", l.Anchors)
	}
}
