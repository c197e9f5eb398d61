package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"watchdog.io/watchdog/pkg/disk"
	"watchdog.io/watchdog/pkg/policy"
)

const (
	eventsFile = "slo-events.jsonl"
	// saveEvents is how often the events of objectives are saved: so much of an error
	// budget's past is lost at worst when the process is killed.
	saveEvents = 5 * time.Minute
)

func (a *App) saveEvents() error {
	if policy.Kept(a.built.Load().cfg) == nil {
		return nil
	}
	return disk.Replace(filepath.Join(a.o.DataDir, eventsFile), func(w io.Writer) error { return a.samples.Dump(w) })
}

// resumeEvents takes up the events that the process before saved.
func (a *App) resumeEvents() error {
	f, err := disk.OpenPrivate(filepath.Join(a.o.DataDir, eventsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := a.samples.Load(f); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return nil
}
