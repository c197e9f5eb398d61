package audit

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func fill(t testing.TB, dir string, n int) []byte {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := l.Append(Record{At: t0.Add(time.Duration(i) * time.Second), Kind: "act", Text: fmt.Sprintf("record %d\nwith a line break", i), Data: []byte(`{"a":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordsChainAndVerify(t *testing.T) {
	dir := t.TempDir() + "/audit"
	fill(t, dir, 3)
	b := fill(t, dir, 2) // opened again: the chain goes on
	n, last, err := Verify(bytes.NewReader(b))
	if err != nil || n != 5 || last.Seq != 5 {
		t.Fatalf("%d records, last %d, %v", n, last.Seq, err)
	}
	if lines := bytes.Count(b, []byte("\n")); lines != 5 {
		t.Fatalf("%d lines for 5 records", lines)
	}
}

func TestEverySingleChangeIsFound_INV39(t *testing.T) {
	b := fill(t, t.TempDir()+"/audit", 6)
	lines := bytes.SplitAfter(b, []byte("\n"))[:6]
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10000 {
		what, changed := "", []byte(nil)
		switch i % 4 {
		case 0:
			changed = bytes.Clone(b)
			at := r.IntN(len(b))
			changed[at] ^= byte(1 + r.IntN(255))
			what = fmt.Sprintf("byte %d changed", at)
		case 1:
			at := r.IntN(5) // without the last: that is truncation
			changed = bytes.Join(slices.Delete(slices.Clone(lines), at, at+1), nil)
			if at == 0 {
				continue // the beginning of a rotated log may be gone
			}
			what = fmt.Sprintf("line %d removed", at)
		case 2:
			at := r.IntN(6)
			changed = bytes.Join(slices.Insert(slices.Clone(lines), at, lines[r.IntN(6)]), nil)
			what = fmt.Sprintf("line inserted at %d", at)
		case 3:
			a, c := r.IntN(6), r.IntN(6)
			if a == c {
				continue
			}
			moved := slices.Clone(lines)
			moved[a], moved[c] = moved[c], moved[a]
			changed, what = bytes.Join(moved, nil), fmt.Sprintf("lines %d and %d swapped", a, c)
		}
		if n, _, err := Verify(bytes.NewReader(changed)); err == nil && n >= 6 {
			t.Fatalf("not found: %s", what)
		}
	}
}

func TestATornEndIsCutAtEveryByteAndKeptAside_F52(t *testing.T) {
	whole := fill(t, t.TempDir()+"/audit", 3)
	two := len(whole) - len(bytes.SplitAfter(whole, []byte("\n"))[2])
	for cut := two; cut < len(whole); cut++ {
		dir := filepath.Join(t.TempDir(), "audit")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fileName), whole[:cut], recordMode); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		r, err := l.Append(Record{At: t0, Kind: "after"})
		if err != nil || r.Seq != 3 {
			t.Fatalf("cut at %d: record %d, %v", cut, r.Seq, err)
		}
		l.Close()
		b, _ := os.ReadFile(filepath.Join(dir, fileName))
		if n, _, err := Verify(bytes.NewReader(b)); n != 3 || err != nil {
			t.Fatalf("cut at %d: %d records, %v", cut, n, err)
		}
		if aside, _ := os.ReadFile(filepath.Join(dir, "torn-3")); cut > two && !bytes.Equal(aside, whole[two:cut]) {
			t.Fatalf("cut at %d: the torn end was not kept", cut)
		}
	}
}

// failing is a file on a disk that is full.
type failing struct{ write, sync error }

func (f failing) Write(b []byte) (int, error) { return 0, f.write }
func (f failing) Sync() error                 { return f.sync }
func (f failing) Close() error                { return nil }

func TestAfterAFailedWriteNothingIsAppendedAnyMore_F50_F51(t *testing.T) {
	for _, f := range []failing{{write: errors.New("no space left on device")}, {sync: errors.New("input/output error")}} {
		l, err := Open(t.TempDir() + "/audit")
		if err != nil {
			t.Fatal(err)
		}
		good := l.file
		l.file = f
		if _, err := l.Append(Record{Kind: "act"}); !errors.Is(err, ErrClosed) {
			t.Fatalf("%+v: %v", f, err)
		}
		l.file = good
		if _, err := l.Append(Record{Kind: "act"}); !errors.Is(err, ErrClosed) {
			t.Fatalf("%+v: the log came back: %v", f, err)
		}
	}
}

func TestASecondWriterAndAnOpenFolderAreRefused(t *testing.T) {
	dir := t.TempDir() + "/audit"
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "another process writes to it") {
		t.Fatal(err)
	}
	l.Close()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "make it 0700") {
		t.Fatal(err)
	}
}

func TestTheChainGoesOnAcrossARotation(t *testing.T) {
	dir := t.TempDir() + "/audit"
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := l.Append(Record{Kind: "act"}); err != nil {
			t.Fatal(err)
		}
		l.size = maxFile + 1
	}
	l.Close()
	var all []byte
	for _, f := range []string{"audit.2.jsonl", "audit.1.jsonl", fileName} {
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if n, _, err := Verify(bytes.NewReader(all)); n != 3 || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("{\"seq\":1}\n"))
	f.Add([]byte("\n\n{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := filepath.Join(t.TempDir(), "audit")
		_ = os.MkdirAll(dir, 0o700)
		_ = os.WriteFile(filepath.Join(dir, fileName), b, recordMode)
		l, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := l.Append(Record{Kind: "act", Text: "after"}); err != nil {
			t.Fatal(err)
		}
		now, _ := os.ReadFile(filepath.Join(dir, fileName))
		if _, _, err := Verify(bytes.NewReader(now)); err != nil {
			t.Fatalf("after recovery: %v", err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := Open(b.TempDir() + "/audit")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for b.Loop() {
		if _, err := l.Append(Record{At: t0, Kind: "act", Text: "restart agent-system/deployment/agent-system"}); err != nil {
			b.Fatal(err)
		}
	}
}
