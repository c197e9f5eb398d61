// Package audit is the append-only record of everything that watchdog decided
// and did.
//
// It owns one chain of records in one folder: each record carries the hash of
// the one before, and is on disk before Append returns. With a key the hashes
// are HMACs, so that who can write the folder cannot write the chain anew. It
// leaves meaning to its writers and knows nothing of incidents or clusters.
//
// Its one rule: a record that was not safely written does not exist. While the
// disk takes nothing, Append fails, because what cannot be recorded must not be
// done.
package audit

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/fileutil"
)

// Record is one line of the log.
type Record struct {
	Seq      uint64          `json:"seq"`
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"` // act, outcome, lease, config, log, or what an incident's timeline says
	Incident string          `json:"incident,omitempty"`
	Op       string          `json:"op,omitempty"`
	Target   string          `json:"target,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Text     string          `json:"text,omitempty"`
	Plan     string          `json:"plan,omitempty"` // hash of the plan
	Data     json.RawMessage `json:"data,omitempty"`
	// Prev is the hash of the record before; Hash that of this record without Hash.
	Prev string `json:"prev"`
	Hash string `json:"hash,omitempty"`
}

// Limits of a log.
const (
	fileName   = "audit.jsonl"
	maxFile    = 64 << 20 // rotated beyond this
	keepFiles  = 8        // rotated files kept
	maxRecord  = 1 << 20
	recordMode = 0o600
)

// ErrClosed is returned by Append while records cannot be written, and after Close.
var ErrClosed = errors.New("audit log is closed")

// Log is the open record of one folder. It is safe for concurrent use.
type Log struct {
	dir    string
	keys   Keys
	damage string

	mu     sync.Mutex
	file   file
	lock   io.Closer
	id     string // of the log, in the header of each file
	size   int64  // of the file, as far as records were acknowledged
	stale  bool   // the next record begins a new file
	seq    uint64
	prev   string
	broken error // why nothing can be written now, and since when
	since  time.Time
	closed bool
	open   func(path string) (file, error)
	now    func() time.Time
}

// file is the little of *os.File that a log needs; tests break it.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// Tip is the last record of a log: noted elsewhere, it shows that records were cut off.
type Tip struct {
	// Log identifies the log; Key is the id of the key that it is sealed with, empty
	// without one.
	Log  string `json:"log"`
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
	Key  string `json:"key,omitempty"`
}

// Open opens the log in dir, creating it if need be, and reads all of it. A last
// record without its end, as a crash leaves it, is cut off and kept beside the log.
// Whatever else is not as it was written is left as it is, and Damage says it. A
// folder that others may write to is refused; so is a second writer.
func Open(dir string, keys Keys) (*Log, error) {
	lock, err := fileutil.Claim(dir)
	if err != nil {
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	l := &Log{dir: dir, keys: keys, lock: lock, now: time.Now, open: func(path string) (file, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, recordMode)
	}}
	if err := l.recover(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	return l, nil
}

func (l *Log) path() string { return filepath.Join(l.dir, fileName) }

// recover cuts what a crash left behind the last record, and finds the end of the chain.
func (l *Log) recover() error {
	torn, err := cutTorn(l.path())
	if err != nil {
		return err
	}
	report, err := verify(os.DirFS(l.dir), l.keys, nil)
	if err != nil {
		return err
	}
	l.id, l.seq, l.prev = cmp.Or(report.Tip.Log, report.header.Log, newID()), report.Tip.Seq, report.Tip.Hash
	if len(torn) > 0 {
		if err := os.WriteFile(filepath.Join(l.dir, fmt.Sprintf("torn-%d", l.seq+1)), torn, recordMode); err != nil {
			return err
		}
	}
	if len(report.Faults) > 0 {
		l.damage = l.damaged(report.Faults[0])
	}
	info, err := os.Stat(l.path())
	if err == nil {
		l.size = info.Size()
	} else if !os.IsNotExist(err) {
		return err
	}
	l.stale = l.size > 0 && (report.Broken || !report.header.is(l.keys.seal()))
	l.file, err = l.open(l.path())
	return err
}

// cutTorn cuts a last record without its end off a file, and returns it.
func cutTorn(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR, recordMode)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	// A record is shorter than this, so its beginning is in here.
	tail := make([]byte, min(end, maxRecord+1))
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil {
		return nil, err
	}
	n := len(tail)
	for n > 0 && tail[n-1] != '\n' {
		n--
	}
	if n == len(tail) {
		return nil, nil
	}
	if n == 0 && end > int64(len(tail)) {
		return nil, nil // no crash leaves that; whoever reads the file says so
	}
	if err := f.Truncate(end - int64(len(tail)-n)); err != nil {
		return nil, err
	}
	return tail[n:], f.Sync()
}

// Damage says what of the record is not as it was written; empty: nothing. It does not
// change while the log is open.
func (l *Log) Damage() string { return l.damage }

// Append writes r, with its place in the chain, and returns once it is on disk. After
// an error nothing of it counts, and the next Append tries the disk again.
func (l *Log) Append(r Record) (Record, error) {
	written, err := l.AppendAll(r)
	if err != nil {
		return r, err
	}
	return written[0], nil
}

// AppendAll writes all records, with their places in the chain, and returns once they are on
// disk: one sync for all of them. After an error none of them counts.
func (l *Log) AppendAll(all ...Record) ([]Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.heal(); err != nil {
		return nil, err
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	return l.write(all...)
}

// begin starts a new file if it is time to.
func (l *Log) begin() error {
	if l.size > maxFile || l.stale {
		if err := l.rotate(); err != nil {
			return l.fail(err)
		}
	}
	if l.size > 0 {
		return nil
	}
	_, err := l.write(l.header())
	return err
}

// write puts records on the disk, in one piece. The lock is held.
func (l *Log) write(all ...Record) ([]Record, error) {
	var lines []byte
	seq, prev, written := l.seq, l.prev, make([]Record, 0, len(all))
	for _, r := range all {
		r.Seq, r.Prev, r.At = seq+1, prev, r.At.UTC()
		line, hash, err := l.keys.seal().line(r)
		if err != nil {
			return nil, err
		}
		if len(line) > maxRecord {
			return nil, fmt.Errorf("audit record too large: %d bytes; the limit is %d", len(line), maxRecord)
		}
		r.Hash = hash
		lines, written = append(lines, line...), append(written, r)
		seq, prev = r.Seq, hash
	}
	if _, err := l.file.Write(lines); err != nil {
		return nil, l.fail(err)
	}
	if err := l.file.Sync(); err != nil {
		return nil, l.fail(err)
	}
	l.seq, l.prev, l.size = seq, prev, l.size+int64(len(lines))
	return written, nil
}

func (l *Log) fail(err error) error {
	if l.broken == nil {
		l.since = l.now()
	}
	l.broken = fmt.Errorf("%w after record %d: %w; free the disk or replace the volume", ErrClosed, l.seq, err)
	_ = l.file.Close()
	return l.broken
}

// gapKind marks the record of a time in which nothing could be recorded.
const gapKind = "gap"

// heal tries the disk again after it failed. What was written of a record that was not
// acknowledged is cut off: what a failed fsync left of it is unknown, and nobody was
// told that it exists. A record of the gap shows that there is room.
func (l *Log) heal() error {
	switch {
	case l.closed:
		return ErrClosed
	case l.broken == nil:
		return nil
	}
	f, err := l.open(l.path())
	if err != nil {
		return l.broken
	}
	if err := errors.Join(os.Truncate(l.path(), l.size), f.Sync(), fileutil.SyncDir(l.dir)); err != nil {
		_ = f.Close()
		return l.broken
	}
	l.file = f
	gap := Record{At: l.now(), Kind: gapKind, Actor: "watchdog",
		Text: fmt.Sprintf("the audit log was not writable since %s: %v", l.since.UTC().Format(time.RFC3339), l.broken)}
	if err := l.begin(); err != nil {
		return err
	}
	if _, err := l.write(gap); err != nil {
		return err
	}
	l.broken = nil
	return nil
}

// Try says why nothing can be recorded now; nil: as far as is known, records can be
// written. A disk that failed is tried again.
func (l *Log) Try() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heal()
}

// Tip is the last record that was written; Seq is 0 before the first.
func (l *Log) Tip() Tip {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Tip{Log: l.id, Seq: l.seq, Hash: l.prev, Key: l.keys.seal().Key}
}

// rotate starts a new file; its header continues the chain.
func (l *Log) rotate() error {
	if err := l.file.Close(); err != nil {
		return err
	}
	_ = os.Remove(rotated(l.dir, keepFiles))
	for n := keepFiles - 1; n >= 1; n-- {
		if err := os.Rename(rotated(l.dir, n), rotated(l.dir, n+1)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := os.Rename(l.path(), rotated(l.dir, 1)); err != nil {
		return err
	}
	l.size, l.stale = 0, false
	f, err := l.open(l.path())
	if err != nil {
		return err
	}
	l.file = f
	return fileutil.SyncDir(l.dir)
}

func rotated(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("audit.%d.jsonl", n))
}

// files are those of a log, the oldest first.
func files(dir fs.FS) ([]string, error) {
	var all []string
	for n := keepFiles; n >= 0; n-- {
		name := rotated("", n)
		if n == 0 {
			name = fileName
		}
		switch _, err := fs.Stat(dir, name); {
		case err == nil:
			all = append(all, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return all, nil
}

// Close ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.broken != nil {
		return l.lock.Close()
	}
	return errors.Join(l.file.Close(), l.lock.Close())
}

// oneFile is a folder that holds one file of records, whatever its name: an export.
type oneFile string

func (o oneFile) Open(name string) (fs.File, error) {
	if name != fileName {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return os.Open(string(o))
}

// at is the log in a folder, or in a file alone.
func at(path string) fs.FS {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return oneFile(path)
	}
	return os.DirFS(path)
}

// Read calls f for each record in the folder, or the file, in order, also where the chain
// is broken, and leaves out what is no record.
func Read(path string, f func(Record) error) error {
	folder := at(path)
	all, err := files(folder)
	if err != nil {
		return err
	}
	for _, name := range all {
		if err := lines(folder, name, func(line []byte, _ bool) error {
			var r Record
			if json.Unmarshal(line, &r) != nil {
				return nil
			}
			return f(r)
		}); err != nil && !errors.Is(err, errLong) {
			return err
		}
	}
	return nil
}

// Export writes the lines of all files in order, as they are on disk.
func Export(dir string, w io.Writer) error {
	folder := os.DirFS(dir)
	all, err := files(folder)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("no records")
	}
	for _, name := range all {
		if err := lines(folder, name, func(line []byte, whole bool) error {
			if !whole {
				return nil
			}
			_, err := w.Write(append(line, '\n'))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

var errLong = fmt.Errorf("line is longer than %d bytes", maxRecord)

// lines calls f for each line of a file; whole is false for a last one without its end.
func lines(dir fs.FS, name string, f func(line []byte, whole bool) error) error {
	in, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 1<<16)
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if long = append(long, part...); len(long) > maxRecord {
				return fmt.Errorf("%s: %w", name, errLong)
			}
			continue
		}
		line := part
		if len(long) > 0 {
			line = append(long, part...)
			long = nil
		}
		switch {
		case err == nil:
			if err := f(line[:len(line)-1], true); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			if len(line) > 0 {
				return f(line, false)
			}
			return nil
		default:
			return err
		}
	}
}
