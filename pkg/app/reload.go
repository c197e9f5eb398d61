package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long the configuration's folder must be at rest before it is
// read: an editor or the kubelet touches several files in a row (F-102).
const quiet = 300 * time.Millisecond

// watchConfig reloads on SIGHUP and when the file changes. The folder is
// watched, not the file: a mounted ConfigMap changes by swapping a symlink
// beside it, and editors replace files.
func (a *App) watchConfig(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch configuration: %w", err)
	}
	defer w.Close()
	if err := w.Add(filepath.Dir(a.o.ConfigFile)); err != nil {
		return fmt.Errorf("watch configuration %s: %w", a.o.ConfigFile, err)
	}
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			// Reload logs and counts its own failure; the old configuration stays.
			_ = a.Reload()
		case <-w.Events:
			settled.Reset(quiet)
		case err := <-w.Errors:
			a.o.Logger.Warn("watching the configuration; SIGHUP and /-/reload still work", "err", err)
		case <-settled.C:
			_ = a.Reload()
		}
	}
}
