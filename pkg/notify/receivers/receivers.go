// Package receivers knows all kinds of receivers.
//
// It owns the table of them (Kinds) and the building of those that a configuration names.
// It leaves what each does to its own package, and when it is notified to pkg/outbox.
//
// Its one rule: what is true of every kind is read from the table; a kind without a row is
// not notified.
package receivers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify"
)

// FromConfig builds the configured receivers. All errors are returned at once.
func FromConfig(cfg *config.Config, now func() time.Time) ([]notify.Notifier, error) {
	shared := Shared{notify.NewQuickReference(cfg), now}
	var all []notify.Notifier
	var errs []error
	for _, k := range Kinds() {
		for _, r := range configured(cfg, k) {
			n, err := k.build(r, shared)
			if err != nil {
				errs = append(errs, fmt.Errorf("receiver %s: %w", r.Name, err))
				continue
			}
			all = append(all, n)
		}
	}
	return all, errors.Join(errs...)
}

// configured are the receivers of a kind.
func configured(cfg *config.Config, k Kind) []config.Receiver {
	return slices.DeleteFunc(cfg.Receivers.All(), func(r config.Receiver) bool {
		return !slices.Contains(k.Sections, r.Section)
	})
}

// Undefined names each text of the configuration that calls an undefined template, and the
// template. Such a text loads, and fails when it is sent: watchdog's own text is sent in its
// place.
func Undefined(cfg *config.Config) []string {
	shared := notify.NewQuickReference(cfg).Shared
	var all []string
	for _, k := range Kinds() {
		if k.texts == nil {
			continue
		}
		for _, r := range configured(cfg, k) {
			for _, t := range k.texts(r) {
				for _, name := range notify.UndefinedNames(t.Text, shared) {
					all = append(all, fmt.Sprintf("receivers %s: %s calls the template %q, which is not defined",
						r.Name, t.Option, name))
				}
			}
		}
	}
	return all
}
