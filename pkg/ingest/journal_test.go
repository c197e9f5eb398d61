package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// replayed returns the lines of the journal in dir, and how much of it was torn. One
// that is damaged is an error here.
func replayed(t testing.TB, dir string) (lines []string, torn int, err error) {
	t.Helper()
	lines, f, err := readAround(t, dir)
	for _, d := range f.damage {
		err = errors.Join(err, errors.New(d.String()))
	}
	return lines, f.torn, err
}

// readAround returns what can be read of the journal in dir, and what was found wrong.
func readAround(t testing.TB, dir string) (lines []string, f found, err error) {
	t.Helper()
	j, f, err := openJournal(dir, time.Now, func(l []byte) error { lines = append(lines, string(l)); return nil })
	if err == nil {
		err = j.close()
	}
	return lines, f, err
}

// inFolder returns a folder whose only segment has these bytes.
func inFolder(t testing.TB, segment []byte) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "j")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(segmentName, 1)), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// written is a journal of n frames of two lines each; it returns the bytes of its
// one segment.
func written(t testing.TB, dir string, n int) []byte {
	t.Helper()
	j, _, err := openJournal(dir, time.Now, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := j.append([][]byte{fmt.Appendf(nil, `{"n":%d}`, i),
			fmt.Appendf(nil, `{"n":"%d again"}`, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(j.path(1))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestATornEndIsCutOffAtEveryByte_F52(t *testing.T) {
	whole := written(t, filepath.Join(t.TempDir(), "j"), 4)
	frameLen := len(whole) / 4
	for cutAt := range len(whole) {
		dir := inFolder(t, whole[:cutAt])
		lines, torn, err := replayed(t, dir)
		if err != nil || len(lines) != cutAt/frameLen*2 || torn != cutAt%frameLen {
			t.Fatalf("cut at %d of %d: %d lines, %d bytes torn, %v", cutAt, len(whole), len(lines), torn, err)
		}
		if kept, _ := os.ReadFile(filepath.Join(dir, "torn-000000000001")); len(kept) != torn {
			t.Errorf("cut at %d: %d of %d torn bytes are kept", cutAt, len(kept), torn)
		}
		if again, torn, err := replayed(t, dir); err != nil || torn != 0 || !slices.Equal(again, lines) {
			t.Fatalf("cut at %d, opened again: %d bytes torn, %v", cutAt, torn, err)
		}
	}
}

// TestAFlippedBitCostsOneFrameAndNeverTheStart_S24 flips each bit of a journal of four
// frames, and starts with one of each byte. In the last frame that looks like the end
// of a write that a crash cut off.
func TestAFlippedBitCostsOneFrameAndNeverTheStart_S24(t *testing.T) {
	whole := written(t, filepath.Join(t.TempDir(), "j"), 4)
	var all []string
	for l := range strings.Lines(string(bytes.Join(split(whole), nil))) {
		all = append(all, strings.TrimSpace(l))
	}
	frameLen, dir := len(whole)/4, inFolder(t, whole)
	path, kept := filepath.Join(dir, fmt.Sprintf(segmentName, 1)), filepath.Join(dir,
		"damaged-"+fmt.Sprintf(segmentName, 1))
	for bit := range 8 * len(whole) {
		at, n := bit/8, bit/8/frameLen
		b := slices.Clone(whole)
		b[at] ^= 1 << (bit % 8)
		want := slices.Concat(all[:2*n], all[2*n+2:])
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var lines []string
		if _, err := replayFile(path, func(l []byte) error {
			lines = append(lines,
				string(l))
			return nil
		}); err != nil || !slices.Equal(lines, want) {
			t.Fatalf("bit %d, in frame %d: %q, %v; want %q", bit, n, lines, err, want)
		}
		if bit%8 != at%8 {
			continue // a start syncs files, which is slow
		}
		lines, f, err := readAround(t, dir)
		copied, _ := os.ReadFile(kept)
		emptied(t, dir)
		switch {
		case err != nil || !slices.Equal(lines, want):
			t.Fatalf("a start with bit %d, in frame %d: %q, %v; want %q", bit, n, lines, err, want)
		case n == 3 && (len(f.damage) != 0 || f.torn != frameLen):
			t.Fatalf("bit %d, in the last frame: %+v", bit, f)
		case n < 3 && (len(f.damage) != 1 || f.torn != 0 || f.damage[0].at != int64(n*frameLen) ||
			f.damage[0].bytes != int64(frameLen) || f.damage[0].missing != 0):
			t.Fatalf("bit %d, in frame %d of %d bytes: %+v", bit, n, frameLen, f)
		case n < 3 && (f.damage[0].kept != kept || !bytes.Equal(copied, b)):
			t.Fatalf("bit %d, in frame %d: %d of %d bytes are kept in %s", bit, n, len(copied), len(b),
				f.damage[0].kept)
		}
	}
}

// emptied removes the files of a folder.
func emptied(t testing.TB, dir string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachDamagedFrameOfSeveralIsReadAround_S24(t *testing.T) {
	whole := written(t, filepath.Join(t.TempDir(), "j"), 6)
	frameLen := len(whole) / 6
	whole[0] ^= 1
	whole[2*frameLen+30] ^= 1
	whole[3*frameLen+5] ^= 1
	whole = append(whole, magic[:]...) // a crash in the middle of the next write
	lines, f, err := readAround(t, inFolder(t, whole))
	if err != nil || len(lines) != 6 || f.torn != 4 || len(f.damage) != 2 {
		t.Fatalf("%q, %+v, %v", lines, f, err)
	}
	if f.damage[0].at != 0 || f.damage[1].at != int64(2*frameLen) || f.damage[1].bytes != int64(2*frameLen) {
		t.Errorf("%+v", f.damage)
	}
}

// TestAMissingFrameIsNoticed_F52: it is said, and the others are used (S24).
func TestAMissingFrameIsNoticed_F52(t *testing.T) {
	whole := written(t, filepath.Join(t.TempDir(), "j"), 4)
	frameLen := len(whole) / 4
	for n := range 4 {
		without := slices.Concat(whole[:n*frameLen], whole[(n+1)*frameLen:])
		lines, f, err := readAround(t, inFolder(t, without))
		if err != nil || len(lines) != 6 || f.torn != 0 {
			t.Errorf("without frame %d: %q, %+v, %v", n, lines, f, err)
		}
		if n == 3 {
			if len(f.damage) != 0 {
				t.Errorf("without the last frame it is the journal as it was before: %+v", f)
			}
			continue
		}
		if len(f.damage) != 1 || f.damage[0].at != int64(n*frameLen) || f.damage[0].missing != int64(frameLen) ||
			f.damage[0].bytes != 0 {
			t.Errorf("without frame %d: %+v", n, f)
		}
	}
}

func TestAnOlderFrameBehindANewerOneIsNotReadAgain_S24(t *testing.T) {
	whole := written(t, filepath.Join(t.TempDir(), "j"), 2)
	half := len(whole) / 2
	for name, tc := range map[string]struct {
		b      []byte
		damage int
	}{
		"in the middle": {slices.Concat(whole[:half], whole[:half], whole[half:]), half},
		"at the end":    {slices.Concat(whole, whole[:half]), half},
	} {
		lines, f, err := readAround(t, inFolder(t, tc.b))
		if err != nil || len(lines) != 4 || lines[3] != `{"n":"1 again"}` || len(f.damage) != 1 ||
			f.damage[0].bytes != int64(tc.damage) || f.torn != 0 {
			t.Errorf("%s: %q, %+v, %v", name, lines, f, err)
		}
	}
}

// TestWhatIsAcceptedAfterDamageIsRead_S24: the frames of a file from which one is gone
// are not at their places, so the next is not written behind them.
func TestWhatIsAcceptedAfterDamageIsRead_S24(t *testing.T) {
	whole := written(t, filepath.Join(t.TempDir(), "j"), 4)
	dir := inFolder(t, whole[len(whole)/4:])
	j, _, err := openJournal(dir, time.Now, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.append([][]byte{[]byte("new")}), j.close()); err != nil {
		t.Fatal(err)
	}
	if lines, _, err := readAround(t, dir); err != nil || len(lines) != 7 || lines[6] != "new" {
		t.Errorf("%q, %v", lines, err)
	}
}

func TestAMissingSegmentAndADamagedSnapshotAreSaidAndTheRestIsUsed_S24(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		lines      int
		spoil      func(dir string) error
	}{
		{"a segment in the middle is gone", "segment-000000000002 is missing", 2,
			func(dir string) error { return os.Remove(filepath.Join(dir, "segment-000000000002")) }},
		{"a segment before the last is torn", "segment-000000000001, byte 0: 20 bytes cannot be read", 2,
			func(dir string) error { return os.Truncate(filepath.Join(dir, "segment-000000000001"), 20) }},
		{"a snapshot is torn", "snapshot-000000000001, byte 0: 1 bytes cannot be read", 2, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "snapshot-000000000001"), []byte("x"), 0o600)
		}},
		{"a snapshot is torn and no segment is there", "snapshot-000000000009, byte 0: 1 bytes cannot be read", 0,
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "snapshot-000000000009"), []byte("x"), 0o600)
			}},
		{"a number is far ahead", "segment-000000000005 and the 999999999993 files after it are missing", 3,
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "segment-999999999999"), nil, 0o600)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "j")
			j, _, err := openJournal(dir, time.Now, func([]byte) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := errors.Join(j.append([][]byte{[]byte("{}")}), j.roll()); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(j.close(), tc.spoil(dir)); err != nil {
				t.Fatal(err)
			}
			lines, f, err := readAround(t, dir)
			if err != nil || len(lines) != tc.lines || len(f.damage) != 1 ||
				!strings.HasSuffix(f.damage[0].String(), tc.want) {
				t.Errorf("%d lines, %v, %v, want %d lines and %q", len(lines), f.damage, err, tc.lines, tc.want)
			}
		})
	}
}

// TestACrashDuringCompactionLosesNothing stops between each two of its steps.
func TestACrashDuringCompactionLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _, err := openJournal(dir, time.Now, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	add := func(text string) {
		t.Helper()
		if err := j.append([][]byte{[]byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	// seen is what a process that starts now would read.
	seen := func(when string, want ...string) {
		t.Helper()
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(copied, 0o700); err != nil {
			t.Fatal(err)
		}
		if lines, _, err := replayed(t, copied); err != nil || !slices.Equal(lines, want) {
			t.Errorf("%s: %q, %v; want %q", when, lines, err, want)
		}
	}
	add("a1")
	add("b1")
	add("a2")
	through, err := j.begin()
	if err != nil || through != 1 {
		t.Fatal(through, err)
	}
	add("c1")
	seen("the new segment is begun", "a1", "b1", "a2", "c1")
	if err := os.WriteFile(filepath.Join(dir, "snapshot-000000000001.new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen("half of the snapshot is written", "a1", "b1", "a2", "c1")
	if err := writeSnapshotOnly(dir, "b1", "a2"); err != nil {
		t.Fatal(err)
	}
	seen("the snapshot is there, and the old segment too", "b1", "a2", "c1")
	if err := j.compact(through, [][]byte{[]byte("b1"), []byte("a2")}); err != nil {
		t.Fatal(err)
	}
	seen("done", "b1", "a2", "c1")
	if _, err := os.Stat(j.path(1)); !os.IsNotExist(err) {
		t.Errorf("the old segment is left: %v", err)
	}
	add("d1")
	if through, err = j.begin(); err != nil || through != 2 {
		t.Fatal(through, err)
	}
	if err := j.compact(through, [][]byte{[]byte("d1")}); err != nil {
		t.Fatal(err)
	}
	seen("done twice", "d1")
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

func writeSnapshotOnly(dir string, lines ...string) error {
	f, err := os.Create(filepath.Join(dir, "snapshot-000000000001"))
	if err != nil {
		return err
	}
	all := make([][]byte, len(lines))
	for n, l := range lines {
		all[n] = []byte(l)
	}
	return errors.Join(writeLines(f, all), f.Close())
}

// sick is a file whose writes do what a full disk, or a broken one, does.
type sick struct {
	*os.File
	half bool  // of what is written reaches the disk before the error
	full error // of Write
	sync error
}

func (s *sick) Write(b []byte) (int, error) {
	if s.full == nil {
		return s.File.Write(b)
	}
	if s.half {
		n, _ := s.File.Write(b[:len(b)/2])
		return n, s.full
	}
	return 0, s.full
}

func (s *sick) Sync() error { return errors.Join(s.sync, s.File.Sync()) }

func TestWhatIsNotOnDiskIsRefusedAndTheJournalHealsWhenItCan_F50_F51(t *testing.T) {
	for _, tc := range []struct {
		name string
		ill  sick
	}{
		{"a full disk", sick{full: syscall.ENOSPC}},
		{"a disk that is full in the middle of a write", sick{full: syscall.ENOSPC, half: true}},
		{"a sync that fails after a whole write", sick{sync: syscall.EIO}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, now, ill := filepath.Join(t.TempDir(), "j"), t0, true
			j, _, err := openJournal(dir, func() time.Time { return now }, func([]byte) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := j.append([][]byte{[]byte("before")}); err != nil {
				t.Fatal(err)
			}
			j.create = func(path string) (file, error) {
				f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
				s := tc.ill
				s.File = f
				if !ill {
					s = sick{File: f}
				}
				return &s, err
			}
			if err := j.roll(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := j.append([][]byte{[]byte("refused")}); !errors.Is(err, ErrNotWritable) ||
					!strings.Contains(err.Error(), "free the disk") {
					t.Errorf("while it is ill: %v", err)
				}
				now = now.Add(healEvery)
			}
			ill = false
			if err := j.append([][]byte{[]byte("after")}); err != nil {
				t.Errorf("when it is well again: %v", err)
			}
			if err := j.append([][]byte{[]byte("and on")}); err != nil {
				t.Error(err)
			}
			if err := j.close(); err != nil {
				t.Fatal(err)
			}
			if lines, torn, err := replayed(t, dir); err != nil || torn != 0 ||
				!slices.Equal(lines, []string{"before", "after", "and on"}) {
				t.Errorf("on disk: %q, %d torn, %v", lines, torn, err)
			}
		})
	}
}

func TestBetweenTwoTriesToHealNothingIsTouched(t *testing.T) {
	now, made := t0, 0
	j, _, err := openJournal(filepath.Join(t.TempDir(), "j"), func() time.Time { return now },
		func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	j.create = func(string) (file, error) { made++; return nil, syscall.EROFS }
	j.triedAt = now
	_ = j.fail(syscall.EIO)
	for range 100 {
		if err := j.append([][]byte{[]byte("x")}); !errors.Is(err, ErrNotWritable) {
			t.Fatal(err)
		}
	}
	if made != 0 {
		t.Errorf("%d files were tried within the same second", made)
	}
	now = now.Add(healEvery)
	if err := j.append([][]byte{[]byte("x")}); !errors.Is(err, syscall.EROFS) || made != 1 {
		t.Errorf("a second later: %v, %d files tried", err, made)
	}
}

func TestSegmentsAreBoundedAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _, err := openJournal(dir, time.Now, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	big := []byte(strings.Repeat("x", maxSegment/2+1))
	for range 3 {
		if err := j.append([][]byte{big}); err != nil {
			t.Fatal(err)
		}
	}
	if j.segment != 2 {
		t.Errorf("segment %d is open, want 2", j.segment)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if lines, _, err := replayed(t, dir); err != nil || len(lines) != 3 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}
