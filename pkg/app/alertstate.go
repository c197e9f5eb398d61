package app

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/fileutil"
)

const (
	alertsFile = "alerts.json"
	// saveAlerts is how often pending and firing alerts are saved: so much of a
	// `for` is lost at worst when the process is killed.
	saveAlerts = 15 * time.Second
)

// keepState saves now and then, and at the end, what would be lost with the
// process: alerts that are pending, and the events of objectives.
func (a *App) keepState(ctx context.Context) {
	var keeping sync.WaitGroup
	keeping.Go(func() {
		a.keep(ctx, saveAlerts, a.saveAlerts,
			"cannot save pending alerts; after a restart their `for` would start again")
	})
	keeping.Go(func() {
		a.keep(ctx, saveEvents, a.saveEvents,
			"cannot save the events of SLOs; after a restart their history would be lost")
	})
	keeping.Wait()
}

func (a *App) keep(ctx context.Context, every time.Duration, save func() error, lost string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	kept := true
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
		err := save()
		if err != nil && kept {
			a.o.Logger.Warn(lost, "err", err)
		}
		kept = err == nil
	}
}

func (a *App) saveAlerts() error {
	return fileutil.Replace(filepath.Join(a.o.DataDir, alertsFile), a.rules.Save)
}

// resumeAlerts takes up the alerts that the process before saved. Without them,
// or if they cannot be read, everything begins anew.
func (a *App) resumeAlerts() error {
	f, err := fileutil.OpenPrivate(filepath.Join(a.o.DataDir, alertsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	return a.rules.Resume(f)
}
