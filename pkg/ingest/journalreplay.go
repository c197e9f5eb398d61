package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/fileutil"
)

// found is what the start found wrong with a journal.
type found struct {
	// torn is how many bytes a crash left of a frame that was never acknowledged; they
	// are cut off and kept beside the journal.
	torn int
	// damage is what was acknowledged and cannot be read any more.
	damage []damage
}

// openJournal claims the folder and hands each record in it that can be read to take,
// oldest first.
func openJournal(dir string, now func() time.Time, take func(line []byte) error) (j *journal, f found, err error) {
	lock, err := fileutil.Claim(dir)
	if err != nil {
		return nil, found{}, fmt.Errorf("open the journal of accepted alerts in %s: %w", dir, err)
	}
	j = &journal{dir: dir, lock: lock, now: now, create: createSegment}
	if f, err = j.replay(take); err == nil {
		j.file, err = j.create(j.path(j.segment))
	}
	if err == nil {
		err = fileutil.SyncDir(dir)
	}
	if err != nil {
		return nil, found{}, errors.Join(fmt.Errorf("open the journal of accepted alerts in %s: %w", dir, err),
			lock.Close())
	}
	return j, f, nil
}

// replay reads the newest snapshot and every segment after it. Behind a damaged file
// a new segment is begun: nothing is written to one whose places are not certain.
func (j *journal) replay(take func([]byte) error) (f found, err error) {
	files, err := list(j.dir)
	if err != nil {
		return found{}, err
	}
	through := 0
	for n := range files.snapshots {
		through = max(through, n)
	}
	if through > 0 {
		path := filepath.Join(j.dir, fmt.Sprintf(snapshotName, through))
		r, err := replayFile(path, take)
		if err != nil {
			return found{}, unusable(path, err)
		}
		f.add(path, r)
	}
	last := through
	segments := slices.DeleteFunc(slices.Sorted(maps.Keys(files.segments)), func(n int) bool { return n <= through })
	for k, n := range segments {
		if n > last+1 {
			f.damage = append(f.damage, damage{file: j.path(last + 1), files: n - last - 1})
		}
		r, err := replayFile(j.path(n), take)
		if err != nil {
			return found{}, unusable(j.path(n), err)
		}
		if k == len(segments)-1 && r.rest != nil && !hasFrame(r.rest) {
			if f.torn, err = len(r.rest), j.cutTorn(n, r.end, r.rest); err != nil {
				return found{}, err
			}
			r.rest = nil
		}
		f.add(j.path(n), r)
		last, j.size, j.logged = n, r.end, j.logged+r.end
	}
	j.segment = max(last, through+1)
	if len(f.damage) > 0 {
		j.damaged, j.segment, j.size = true, last+1, 0
	}
	return f, j.removeThrough(through)
}

// add notes what was wrong with a file, and keeps a copy of it.
func (f *found) add(path string, r fileReplay) {
	if r.rest != nil {
		r.damage = append(r.damage, damage{file: path, at: r.end, bytes: int64(len(r.rest))})
	}
	if len(r.damage) == 0 {
		return
	}
	kept, err := keepDamaged(path)
	for i := range r.damage {
		r.damage[i].kept, r.damage[i].keepErr = kept, err
	}
	f.damage = append(f.damage, r.damage...)
}

// cutTorn cuts a segment to its whole frames. The rest is kept for whoever wants
// to look; a full disk is no reason not to start.
func (j *journal) cutTorn(n int, whole int64, rest []byte) error {
	_ = os.WriteFile(filepath.Join(j.dir, fmt.Sprintf("torn-%012d", n)), rest, journalMode)
	return cut(j.path(n), whole)
}

// fileReplay is what was found in one file.
type fileReplay struct {
	end    int64  // of the last frame that was read
	rest   []byte // what follows it, none of which can be read; nil if nothing follows
	damage []damage
}

// replayFile hands every record of the file that can be read to take.
func replayFile(path string, take func([]byte) error) (r fileReplay, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	next := int64(0) // the place that the next frame should have been written for
	for {
		at, content, err := readFrame(in)
		if err == nil && at != next || errors.Is(err, errDamaged) {
			var skipped int64
			skipped, at, content, err = findFrame(f, r.end, next)
			if errors.Is(err, errDamaged) {
				r.rest, err = readFrom(f, r.end)
				return r, err
			}
			if err == nil {
				r.damage = append(r.damage, damage{file: path, at: r.end, bytes: skipped,
					missing: max(0, at-next-skipped)})
				r.end += skipped
				_, err = f.Seek(r.end+headerLen+int64(len(content)), io.SeekStart)
				in.Reset(f)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return r, nil
		case err != nil:
			return r, err
		}
		for line := range bytes.Lines(content) {
			if err := take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				return r, fmt.Errorf("byte %d: %w; was it written by a newer watchdog?", r.end, err)
			}
		}
		r.end += headerLen + int64(len(content))
		next = at + headerLen + int64(len(content))
	}
}

func readFrom(f *os.File, from int64) ([]byte, error) {
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// unusable is the error of a file that the disk does not give, or whose whole frames
// hold what this version cannot read. That is no damage that can be read around.
func unusable(path string, err error) error {
	return fmt.Errorf("%s: %w. Check the volume, keep the folder for later (mv %[3]s %[3]s.damaged), and start "+
		"again: senders repeat what still fires", path, err, filepath.Dir(path))
}

// files are the numbers of the files of a journal.
type files struct{ segments, snapshots map[int]bool }

func list(dir string) (files, error) {
	found := files{segments: map[int]bool{}, snapshots: map[int]bool{}}
	all, err := os.ReadDir(dir)
	if err != nil {
		return found, err
	}
	for _, f := range all {
		if n, is := number(f.Name(), segmentName); is {
			found.segments[n] = true
		}
		if n, is := number(f.Name(), snapshotName); is {
			found.snapshots[n] = true
		}
	}
	return found, nil
}

// number returns the number in a name of that form.
func number(name, form string) (n int, is bool) {
	_, err := fmt.Sscanf(name, form, &n)
	return n, err == nil && n > 0 && name == fmt.Sprintf(form, n)
}
