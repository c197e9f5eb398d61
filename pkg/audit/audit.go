// Package audit is the append-only record of everything that watchdog decided
// and did.
//
// It owns one chain of records in one folder: each record carries the hash of
// the one before, and is on disk before Append returns. It leaves meaning to
// its writers and knows nothing of incidents or clusters.
//
// Its one rule: a record that was not safely written does not exist. After a
// failed write the log stays closed, because what cannot be recorded must not
// be done.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/disk"
)

// Record is one line of the log.
type Record struct {
	Seq      uint64          `json:"seq"`
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"` // act, outcome, lease, config, or what an incident's timeline says
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

// ErrClosed is returned by Append after a write failed or the log was closed.
var ErrClosed = errors.New("audit log is closed")

// Log is the open record of one folder. It is safe for concurrent use.
type Log struct {
	dir string

	mu     sync.Mutex
	file   file
	lock   io.Closer
	size   int64
	seq    uint64
	prev   string
	broken error
	open   func(path string) (file, error)
}

// file is the little of *os.File that a log needs; tests break it.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// Open opens the log in dir, creating it if need be. A torn last record, as a
// crash leaves it, is cut off and kept beside the log. A folder that others may
// write to is refused; so is a second writer.
func Open(dir string) (*Log, error) {
	lock, err := disk.Claim(dir)
	if err != nil {
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	l := &Log{dir: dir, lock: lock, open: func(path string) (file, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, recordMode)
	}}
	if err := l.recover(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	return l, nil
}

func (l *Log) path() string { return filepath.Join(l.dir, fileName) }

// recover finds the end of the chain and cuts what a crash left behind it.
func (l *Log) recover() error {
	b, err := os.ReadFile(l.path())
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(b) == 0 {
		l.seq, l.prev = l.lastOfRotated()
	}
	end := 0
	for end < len(b) {
		nl := bytes.IndexByte(b[end:], '\n')
		if nl < 0 {
			break
		}
		r, err := parse(b[end : end+nl])
		if err != nil || end > 0 && (r.Prev != l.prev || r.Seq != l.seq+1) {
			break
		}
		l.seq, l.prev = r.Seq, r.Hash
		end += nl + 1
	}
	if end < len(b) {
		aside := filepath.Join(l.dir, fmt.Sprintf("torn-%d", l.seq+1))
		if err := os.WriteFile(aside, b[end:], recordMode); err != nil {
			return err
		}
		if err := os.Truncate(l.path(), int64(end)); err != nil {
			return err
		}
	}
	l.size = int64(end)
	l.file, err = l.open(l.path())
	return err
}

// lastOfRotated continues the chain over a rotation that a crash interrupted.
func (l *Log) lastOfRotated() (uint64, string) {
	b, err := os.ReadFile(filepath.Join(l.dir, "audit.1.jsonl"))
	if err != nil {
		return 0, ""
	}
	lines := bytes.Split(bytes.TrimRight(b, "\n"), []byte("\n"))
	r, err := parse(lines[len(lines)-1])
	if err != nil {
		return 0, ""
	}
	return r.Seq, r.Hash
}

// Append writes r, with its place in the chain, and returns once it is on disk.
// After an error nothing can be appended any more.
func (l *Log) Append(r Record) (Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return r, l.broken
	}
	if l.size > maxFile {
		if err := l.rotate(); err != nil {
			return r, l.fail(err)
		}
	}
	r.Seq, r.Prev, r.At = l.seq+1, l.prev, r.At.UTC()
	line, hash, err := seal(r)
	if err != nil {
		return r, err
	}
	if len(line) > maxRecord {
		return r, fmt.Errorf("audit record of %d bytes is larger than %d", len(line), maxRecord)
	}
	if _, err := l.file.Write(line); err != nil {
		return r, l.fail(err)
	}
	if err := l.file.Sync(); err != nil {
		// What a failed fsync left on disk is unknown, also if a later one succeeds.
		return r, l.fail(err)
	}
	r.Hash = hash
	l.seq, l.prev, l.size = r.Seq, hash, l.size+int64(len(line))
	return r, nil
}

func (l *Log) fail(err error) error {
	l.broken = fmt.Errorf("%w after record %d: %w; free the disk or replace the volume, then restart", ErrClosed, l.seq, err)
	_ = l.file.Close()
	return l.broken
}

// rotate starts a new file; its first record continues the chain.
func (l *Log) rotate() error {
	if err := l.file.Close(); err != nil {
		return err
	}
	name := func(n int) string { return filepath.Join(l.dir, fmt.Sprintf("audit.%d.jsonl", n)) }
	_ = os.Remove(name(keepFiles))
	for n := keepFiles - 1; n >= 1; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := os.Rename(l.path(), name(1)); err != nil {
		return err
	}
	f, err := l.open(l.path())
	if err != nil {
		return err
	}
	l.file, l.size = f, 0
	return disk.SyncDir(l.dir)
}

// Close ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return nil
	}
	l.broken = ErrClosed
	return errors.Join(l.file.Close(), l.lock.Close())
}

// seal returns the record's line and hash. The hash is SHA-256 over the record's
// JSON without the hash itself.
func seal(r Record) (line []byte, hash string, err error) {
	r.Hash = ""
	b, err := json.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("audit record: %w", err)
	}
	sum := sha256.Sum256(b)
	r.Hash = hex.EncodeToString(sum[:])
	b, err = json.Marshal(r)
	return append(b, '\n'), r.Hash, err
}

// parse reads one line and checks its own hash, and that it is written exactly
// as this package writes it.
func parse(line []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("not a record: %w", err)
	}
	again, hash, err := seal(r)
	switch {
	case err != nil:
		return r, err
	case hash != r.Hash:
		return r, errors.New("its hash does not match its content")
	case !bytes.Equal(bytes.TrimRight(again, "\n"), line):
		return r, errors.New("it is not written as it was recorded")
	}
	return r, nil
}

// Verify reads a log and returns how many records it holds. The error names the
// first record that was changed, removed, added or moved. That records are
// missing at the end can only be told by comparing the last hash with one
// noted elsewhere.
func Verify(in io.Reader) (n int, last Record, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRecord+1024)
	for lines.Scan() {
		r, err := parse(lines.Bytes())
		switch {
		case err != nil:
			return n, last, fmt.Errorf("line %d: %w", n+1, err)
		case n > 0 && r.Seq != last.Seq+1:
			return n, last, fmt.Errorf("line %d: record %d follows record %d", n+1, r.Seq, last.Seq)
		case n > 0 && r.Prev != last.Hash:
			return n, last, fmt.Errorf("line %d: it does not follow the record before it", n+1)
		}
		n, last = n+1, r
	}
	if err := lines.Err(); err != nil {
		return n, last, fmt.Errorf("line %d: %w", n+1, err)
	}
	return n, last, nil
}
