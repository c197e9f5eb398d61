// Package notify is the contract between watchdog and the receivers of notifications, and
// the texts that all of them show.
//
// It owns what a receiver is (Notifier, Failure, Fallback, Secret), the texts that
// describe an incident, and the templates of users. It leaves each receiver to a package
// of its own below, the list of them to pkg/notify/receivers, and the time of notifications
// to pkg/outbox. None of them can change an incident.
//
// Its one rule: notification is level-triggered. A receiver gets the whole
// incident as it is now and the receipt of its last notification, and brings
// the other side up to date; nothing depends on how often that happens.
package notify

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/secretfile"
)

// Notifier is one receiver. Notify brings it up to date with the incident and
// returns the receipt to remember; an unchanged receipt means that there was
// nothing to send. An error of type *Failure says whether a retry makes sense;
// after any other error it does.
type Notifier interface {
	Name() string
	Notify(ctx context.Context, inc incident.Incident, prev incident.Receipt) (incident.Receipt, error)
}

// Failure is a rejection by the other side.
type Failure struct {
	Err error
	// Final: the same message will be rejected again.
	Final bool
	// After is how long the other side asked to wait; 0: it did not say.
	After time.Duration
	// Own: nothing was rejected; the receiver itself delays the message, until the incident changes.
	Own bool
	// Delivered: the receiver has the newest state of the incident; only what goes with it (a
	// thread) is missing. No fallback is needed.
	Delivered bool
}

// Error returns what was tried and what happened.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Secret is a file with one secret. It is read at each use, so that it can be
// rotated, and prints as <redacted>.
type Secret struct{ file string }

// NewSecret returns the secret in the file. A file that cannot be a secret is an error
// now. One that does not exist is an error at each use only: without it watchdog still
// watches and notifies all other receivers, and reports what is missing (selfwatch.Missing).
func NewSecret(file string) (Secret, error) {
	s := Secret{file: file}
	_, err := s.Reveal()
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	return s, err
}

// Reveal returns the secret.
func (s Secret) Reveal() (string, error) { return secretfile.Read(s.file) }

// String never shows the secret.
func (Secret) String() string { return "<redacted>" }
