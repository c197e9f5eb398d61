package outbox

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/fileutil"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// kept is what a lane has on disk of one incident, in a file of its own: the price
// of a message does not grow with the number of those that wait.
type kept struct {
	ID       string             `json:"id"`
	Incident *incident.Incident `json:"incident,omitempty"` // it waits
	Receipt  *incident.Receipt  `json:"receipt,omitempty"`
	Tried    bool               `json:"tried,omitempty"` // and failed: the other side may have it
}

func (l *lane) folder() string {
	return filepath.Join(l.out.o.Dir, strings.ReplaceAll(l.name, "/", "_"))
}

// Limits of writing: while many messages wait, the disk has half of the time.
const (
	flushTime    = 100 * time.Millisecond
	flushWriters = 8 // a disk takes several writes in the time of one
)

// flush brings the disk up to date, or as far as the time allows; 0: all of it. A
// crash leaves the old state of an incident or the new.
func (l *lane) flush(limit time.Duration) {
	l.out.mu.Lock()
	ids := slices.Sorted(maps.Keys(l.unsaved))
	l.out.mu.Unlock()
	began := time.Now()
	for batch := range slices.Chunk(ids, flushWriters) {
		if limit > 0 && time.Since(began) >= limit {
			break
		}
		var g errgroup.Group
		for _, id := range batch {
			g.Go(func() error { return l.write(l.entry(id)) })
		}
		if err := g.Wait(); err != nil {
			l.out.o.Logger.Error("cannot write the outbox to disk; notifying from memory", "receiver", l.name, "err", err)
			l.out.mu.Lock()
			for _, id := range batch {
				l.unsaved[id] = true
			}
			l.out.mu.Unlock()
			break
		}
	}
	l.flushed = time.Now()
}

// entry is what is to be on disk of an incident now.
func (l *lane) entry(id string) kept {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	delete(l.unsaved, id)
	it := l.items[id]
	if it == nil {
		return kept{ID: id}
	}
	k := kept{ID: id, Tried: it.doubt}
	if it.waits {
		i := it.incident
		k.Incident = &i
	}
	if it.receipt != (incident.Receipt{}) {
		r := it.receipt
		k.Receipt = &r
	}
	return k
}

func (l *lane) write(k kept) error {
	file := filepath.Join(l.folder(), notify.SafeID(k.ID)+".json")
	if k.Incident == nil && k.Receipt == nil && !k.Tried {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.folder(), 0o700); err != nil {
		return err
	}
	if hide := l.out.o.Hide; hide != nil {
		b = []byte(hide(string(b)))
	}
	return l.out.keep(file, b)
}

// onDisk writes a file so that it is whole after a crash, or not there.
func onDisk(file string, b []byte) error {
	return fileutil.Replace(file, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// restore reads what an earlier process left, oldest incident first.
func (l *lane) restore() {
	files, _ := filepath.Glob(filepath.Join(l.folder(), "*.json"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		var k kept
		if err == nil {
			err = json.Unmarshal(b, &k)
		}
		if err != nil || k.ID == "" {
			l.out.o.Logger.Warn("cannot read an outbox file of an earlier process; its incident is notified again",
				"file", file, "err", err)
			continue
		}
		it := l.item(k.ID)
		it.doubt = k.Tried
		if k.Receipt != nil {
			it.receipt = *k.Receipt
		}
		if k.Incident != nil {
			it.incident, it.waits, it.since = *k.Incident, true, time.Now()
			l.queue = append(l.queue, it)
			if k.Tried {
				it.fails = 1
			}
		}
	}
}
