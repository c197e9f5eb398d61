package hints

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"watchdog.io/watchdog/pkg/disk"
)

// openJournal claims the folder and hands each record in it to take, oldest first.
// torn is how many bytes a crash left of a frame that was never acknowledged; they
// are cut off and kept beside the journal.
func openJournal(dir string, now func() time.Time, take func(line []byte) error) (j *journal, torn int, err error) {
	lock, err := disk.Claim(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("open the journal of accepted alerts in %s: %w", dir, err)
	}
	j = &journal{dir: dir, lock: lock, now: now, create: createSegment}
	if torn, err = j.replay(take); err == nil {
		j.file, err = j.create(j.path(j.segment))
	}
	if err == nil {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open the journal of accepted alerts in %s: %w", dir, err), lock.Close())
	}
	return j, torn, nil
}

// replay reads the newest snapshot and every segment after it.
func (j *journal) replay(take func([]byte) error) (torn int, err error) {
	files, err := list(j.dir)
	if err != nil {
		return 0, err
	}
	through, last := 0, 0
	for n := range files.snapshots {
		through = max(through, n)
	}
	for n := range files.segments {
		last = max(last, n)
	}
	if through > 0 {
		path := filepath.Join(j.dir, fmt.Sprintf(snapshotName, through))
		if _, rest, err := replayFile(path, take); err != nil || rest != nil {
			return 0, beyondRepair(path, errors.Join(err, cause(rest)))
		}
	}
	for n := through + 1; n <= last; n++ {
		if !files.segments[n] {
			return 0, beyondRepair(j.path(n), errors.New("the file is missing"))
		}
		whole, rest, err := replayFile(j.path(n), take)
		switch {
		case err != nil:
			return 0, beyondRepair(j.path(n), err)
		case rest != nil && (n < last || hasFrame(rest)):
			return 0, beyondRepair(j.path(n), fmt.Errorf("byte %d: %w, and what follows it was accepted", whole, errDamaged))
		case rest != nil:
			if torn, err = len(rest), j.cutTorn(n, whole, rest); err != nil {
				return 0, err
			}
		}
		j.segment, j.size, j.logged = n, whole, j.logged+whole
	}
	j.segment = max(j.segment, through+1)
	return torn, j.removeThrough(through)
}

// cutTorn cuts a segment to its whole frames. The rest is kept for whoever wants
// to look; a full disk is no reason not to start.
func (j *journal) cutTorn(n int, whole int64, rest []byte) error {
	_ = os.WriteFile(filepath.Join(j.dir, fmt.Sprintf("torn-%012d", n)), rest, journalMode)
	return cut(j.path(n), whole)
}

// replayFile hands every record of the file to take. It returns how many bytes are
// whole frames, and what follows them; nil if nothing does.
func replayFile(path string, take func([]byte) error) (whole int64, rest []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	for {
		at, content, err := readFrame(in)
		if err == nil && at != whole {
			err = errDamaged // what was before it is gone, or more than it
		}
		switch {
		case err == io.EOF:
			return whole, nil, nil
		case errors.Is(err, errDamaged):
			if _, err := f.Seek(whole, io.SeekStart); err != nil {
				return whole, nil, err
			}
			rest, err := io.ReadAll(f)
			return whole, rest, err
		case err != nil:
			return whole, nil, err
		}
		for line := range bytes.Lines(content) {
			if err := take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				return whole, nil, fmt.Errorf("byte %d: %w; was it written by a newer watchdog?", whole, err)
			}
		}
		whole += headerLen + int64(len(content))
	}
}

func cause(rest []byte) error {
	if rest == nil {
		return nil
	}
	return errDamaged
}

// beyondRepair is the error of a journal that must not be read on: what is missing
// was acknowledged, and going on would hide that.
func beyondRepair(path string, err error) error {
	return fmt.Errorf("%s: %w; alerts that were accepted may be missing, so nothing is guessed. "+
		"Check the volume, keep the folder for later (mv %[3]s %[3]s.damaged), and start again: senders repeat what still fires", path, err, filepath.Dir(path))
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
