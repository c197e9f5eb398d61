package recorder

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// fullDisk is an audit record whose disk is full, or not.
type fullDisk struct{ err error }

func (d *fullDisk) Try() error { return d.err }

// A replica whose disk is full stops leading, and stands again once there is room.
func TestAReplicaThatCannotRecordDoesNotLead_S09(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{}
		r := &Recorder{test: disk.Try, changed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		terms, over := 0, 0
		done := make(chan bool)
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				writable, cancel, ok := r.Await(ctx)
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
			news, _ := r.try()
			synctest.Wait()
			return news
		}
		full := errors.New("no space left on device")
		for _, step := range []struct {
			err         error
			news        bool
			terms, over int
		}{{nil, false, 1, 0}, {full, true, 1, 1}, {full, false, 1, 1}, {nil, true, 2, 1}, {nil, false, 2, 1},
			{full, true, 2, 2}} {
			if news := look(step.err); news != step.news || terms != step.terms || over != step.over ||
				!errors.Is(r.Closed(), step.err) {
				t.Errorf("%v: news %v, %d terms, %d over, closed %v; want %+v", step.err, news, terms, over, r.Closed(),
					step)
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
