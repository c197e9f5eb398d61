package incident

import "errors"

// Stored is an incident with the version under which it may be replaced.
type Stored struct {
	Incident Incident
	Version  string
	// Newer: a newer version of watchdog stored it. Only its ID and Target are known.
	Newer bool
	// Responders are the actions of responders when it was read: its spec.
	Responders ResponderActions
}

// ErrConflict says that a stored object was modified or deleted since it was read, or that
// an object to be created exists.
var ErrConflict = errors.New("modified by another client since it was read")

// ErrTooLarge says that an object was not stored because it is larger than the API server takes.
var ErrTooLarge = errors.New("object too large")

// ErrNewer says that a stored object was written by a newer version of watchdog: it is
// neither interpreted nor overwritten (INV-49).
var ErrNewer = errors.New("written by a newer version of watchdog")
