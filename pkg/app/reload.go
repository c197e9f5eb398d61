package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/decision"
)

const (
	// quiet is how long the configuration's folders must be at rest before they are
	// read: an editor or the kubelet touches several files in a row (F-102).
	quiet = 300 * time.Millisecond
	// compare is how often all files are read and compared, for what no event reports:
	// network file systems, links, more folders than can be watched.
	compare = 30 * time.Second
)

// Reload reads the configuration again. On an error the running one stays, whole.
func (a *App) Reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cfg, err := a.read()
	if err == nil {
		err = permitted(cfg, a.o)
	}
	if err == nil {
		if b := a.built.Load(); b != nil && b.cfg.Hash == cfg.Hash {
			a.metrics.reloaded(nil)
			if a.refusal.Take(nil, a.clock.Now()) {
				a.o.Logger.Info("the configuration file matches the running configuration again", "file", a.o.ConfigFile)
			}
			return nil
		}
		err = a.use(cfg)
	}
	a.metrics.reloaded(err)
	news := a.refusal.Take(err, a.clock.Now())
	if err != nil {
		if news {
			a.o.Logger.Error("reload failed, keeping the previous configuration", "file", a.o.ConfigFile, "err", err)
		}
		return err
	}
	a.o.Logger.Info("configuration loaded", "file", a.o.ConfigFile, "hash", cfg.Hash[:12], "targets", len(cfg.Targets))
	return nil
}

// read returns what the files say now; that is the configuration in use if they have the same bytes.
func (a *App) read() (*config.Config, error) {
	if b := a.built.Load(); b != nil && b.cfg.Unchanged() {
		return b.cfg, nil
	}
	return config.Load(a.o.ConfigFile)
}

// use installs a configuration, or says why it cannot; then nothing has changed.
func (a *App) use(cfg *config.Config) error {
	a.readSecrets(cfg)
	swap, err := a.prepare(cfg)
	if err != nil {
		return err
	}
	swap()
	return nil
}

// taken is the record that a configuration is taken up.
func taken(at time.Time, b *built) audit.Record {
	c := b.cfg
	return audit.Record{At: at, Kind: "config", Actor: "watchdog",
		Text: fmt.Sprintf("configuration %s loaded: mode %s, %d targets, %d thresholds, %d rule groups",
			cmp.Or(c.Hash, "-"), c.Mode, len(c.Targets), len(c.Thresholds), len(b.Groups)), Data: decision.Begun()}
}

// watchConfig reloads on SIGHUP and when a file that belongs to the configuration
// changes. Folders are watched, not files: a mounted ConfigMap changes by swapping a
// symlink beside it, and editors replace files.
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
	tick := time.NewTicker(compare)
	defer tick.Stop()
	c := a.comparison()
	for {
		a.follow(w)
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			// Reload logs and counts its own failure; the old configuration stays.
			_ = a.Reload()
			c.current()
		case <-w.Events:
			settled.Reset(quiet)
		case err := <-w.Errors:
			a.o.Logger.Warn("cannot watch the configuration; comparing files every 30s; SIGHUP and /-/reload "+
				"still work", "err", err)
		case <-settled.C:
			_ = a.Reload()
			c.current()
		case <-tick.C:
			c.look()
		}
	}
}

// follow watches the folders of all files that belong to the configuration in use. One
// that cannot be watched is compared.
func (a *App) follow(w *fsnotify.Watcher) {
	b := a.built.Load()
	if b == nil {
		return
	}
	for _, dir := range b.cfg.Folders() {
		_ = w.Add(dir) // once more does nothing
	}
}

// comparison finds changes that no event reported.
type comparison struct {
	sum     func() string // of the files of the configuration in use
	refused func() bool   // the last reload failed
	reload  func() error
	last    string
}

func (a *App) comparison() *comparison {
	c := &comparison{refused: a.refusal.Stands, reload: a.Reload, sum: func() string {
		if b := a.built.Load(); b != nil {
			return b.cfg.Fingerprint()
		}
		return ""
	}}
	c.current()
	return c
}

// current notes that what the files say now has been read.
func (c *comparison) current() { c.last = c.sum() }

// look reloads if a file has changed, and tries a refused configuration again: what
// was wrong with it may have been a file that is there by now.
func (c *comparison) look() {
	if c.refused() || c.sum() != c.last {
		_ = c.reload()
		c.current()
	}
}
