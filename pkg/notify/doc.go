// Package notify is the contract between watchdog and those that it tells of incidents,
// and the texts that all of them show.
//
// It owns what a receiver is (Notifier, Failure, Fallback, Secret), the words in which an
// incident is described, and the templates of users. It leaves each receiver to a package
// of its own below, the list of them to pkg/notify/receivers, and when one is told to
// pkg/outbox. None of them can change an incident.
//
// Its one rule: telling is level-triggered. A receiver is handed the whole
// incident as it is now and the receipt of what it was told before, and brings
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
// nothing to tell. An error of type *Failure says whether trying again makes
// sense; any other error does.
type Notifier interface {
	Name() string
	Notify(ctx context.Context, inc incident.Incident, prev incident.Receipt) (incident.Receipt, error)
}

// Failure is a refusal by the other side.
type Failure struct {
	Err error
	// Final: the same message will be refused again.
	Final bool
	// After is how long the other side asked to wait; 0: it did not say.
	After time.Duration
	// Own: nobody refused; the receiver itself waits, and news of the incident ends that.
	Own bool
	// Told: the incident was told as it is; only what goes with it (a thread) is not.
	// No fallback is needed.
	Told bool
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
// watches and tells everybody else, and says what is missing (pkg/app, missing).
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
