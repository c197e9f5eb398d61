package incident

import "errors"

// Stored is an incident with the version under which it may be replaced.
type Stored struct {
	Incident Incident
	Version  string
	// Newer: a newer watchdog stored it. Only its ID and Target are known.
	Newer bool
	// Words are what people had said of it when it was read, which is its spec.
	Words Words
}

// ErrConflict says that a stored object was changed or deleted by somebody else since it
// was read, or that one to be created exists.
var ErrConflict = errors.New("modified by another client since it was read")

// ErrNewer says that a stored object was written by a newer watchdog: nothing in it may
// be guessed at, and nothing written (INV-49).
var ErrNewer = errors.New("written by a newer version of watchdog")
