package ingest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"watchdog.io/watchdog/pkg/fileutil"
)

// ErrNotWritable is returned while what was asked for cannot be put on disk.
var ErrNotWritable = errors.New("the journal of accepted alerts cannot be written")

const (
	segmentName  = "segment-%012d"
	snapshotName = "snapshot-%012d"
	maxSegment   = 16 << 20    // bytes; a new one is begun beyond
	healEvery    = time.Second // between two tries to write again after an error
	journalMode  = 0o600
)

// journal is a folder of frames: a snapshot of everything as it was at one moment,
// and the segments written since. Snapshot 7 stands for segments 1 to 7.
//
// After a failed write or sync what the file's end holds is unknown. It is cut off,
// and a new segment is begun, before anything else is acknowledged.
type journal struct {
	dir  string
	lock io.Closer
	now  func() time.Time

	file    file
	segment int   // number of the segment that is open
	size    int64 // bytes of it that are on disk
	logged  int64 // bytes of all segments since the snapshot
	damaged bool  // something was missing at the start; a snapshot makes it whole
	broken  error // why nothing can be written
	triedAt time.Time
	create  func(path string) (file, error)
}

// file is the little of *os.File that a journal needs; tests break it.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

func createSegment(path string) (file, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, journalMode)
}

func (j *journal) path(n int) string { return filepath.Join(j.dir, fmt.Sprintf(segmentName, n)) }

// append writes the lines as one frame and returns once they are on disk. An error
// means that they are not there, or must be taken not to be.
func (j *journal) append(lines [][]byte) error {
	if err := j.heal(); err != nil {
		return err
	}
	b := frame(j.size, lines)
	if len(b) > maxFrame {
		return fmt.Errorf("%w: %d bytes at once; send fewer alerts in one request", ErrNotWritable, len(b))
	}
	_, err := j.file.Write(b)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.triedAt = j.now()
		return j.fail(err)
	}
	j.size += int64(len(b))
	j.logged += int64(len(b))
	if j.size > maxSegment {
		// What was asked for is on disk; a failure here is for the next one.
		if err := j.roll(); err != nil {
			_ = j.fail(err)
		}
	}
	return nil
}

func (j *journal) fail(err error) error {
	j.broken = fmt.Errorf("%w in %s: %w; free the disk or replace the volume; retried every %s",
		ErrNotWritable, j.dir, err, healEvery)
	return j.broken
}

// heal makes a journal that failed writable again, or says why it is not.
func (j *journal) heal() error {
	if j.broken == nil || errors.Is(j.broken, ErrClosed) || j.now().Sub(j.triedAt) < healEvery {
		return j.broken
	}
	j.triedAt = j.now()
	if j.file != nil {
		_ = j.file.Close()
		j.file = nil
	}
	if err := cut(j.path(j.segment), j.size); err != nil {
		return j.fail(err)
	}
	if err := j.roll(); err != nil {
		return j.fail(err)
	}
	j.broken = nil
	return nil
}

// roll begins a new segment; one that is empty is begun anew.
func (j *journal) roll() error {
	next := j.segment
	if j.size > 0 {
		next++
	}
	f, err := j.create(j.path(next))
	if err != nil {
		return err
	}
	if err := fileutil.SyncDir(j.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	old := j.file
	j.file, j.segment, j.size = f, next, 0
	if old != nil {
		return old.Close()
	}
	return nil
}

// cut shortens a file to what is known to be on disk.
func cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, journalMode)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// begin closes the segment that is open, so that a snapshot can stand for all up to
// it, and returns its number; 0 if there is nothing to stand for.
func (j *journal) begin() (int, error) {
	if err := j.heal(); err != nil || j.logged == 0 && !j.damaged {
		return 0, err
	}
	if j.size > 0 {
		if err := j.roll(); err != nil {
			return 0, j.fail(err)
		}
	}
	j.logged = 0
	return j.segment - 1, nil
}

// compact writes a snapshot that stands for the segments up to through, and removes
// them. A crash at any moment leaves the old files or the snapshot, or both.
func (j *journal) compact(through int, lines [][]byte) error {
	err := fileutil.Replace(filepath.Join(j.dir, fmt.Sprintf(snapshotName, through)), func(w io.Writer) error {
		return writeLines(w, lines)
	})
	if err != nil {
		return fmt.Errorf("write a snapshot in %s: %w", j.dir, err)
	}
	j.damaged = false
	return j.removeThrough(through)
}

// writeLines writes frames of about a mebibyte.
func writeLines(w io.Writer, lines [][]byte) error {
	for at := int64(0); len(lines) > 0; {
		n, size := 0, 0
		for n < len(lines) && size < 1<<20 {
			size += len(lines[n])
			n++
		}
		b := frame(at, lines[:n])
		if _, err := w.Write(b); err != nil {
			return err
		}
		at += int64(len(b))
		lines = lines[n:]
	}
	return nil
}

// removeThrough removes what snapshot number through stands for.
func (j *journal) removeThrough(through int) error {
	files, err := list(j.dir)
	if err != nil {
		return err
	}
	for n := range files.segments {
		if n <= through {
			err = errors.Join(err, os.Remove(j.path(n)))
		}
	}
	for n := range files.snapshots {
		if n < through {
			err = errors.Join(err, os.Remove(filepath.Join(j.dir, fmt.Sprintf(snapshotName, n))))
		}
	}
	return errors.Join(err, fileutil.SyncDir(j.dir))
}

func (j *journal) close() error {
	if errors.Is(j.broken, ErrClosed) {
		return nil
	}
	j.broken = ErrClosed
	if j.file == nil {
		return j.lock.Close()
	}
	return errors.Join(j.file.Close(), j.lock.Close())
}
