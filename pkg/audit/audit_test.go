package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	t0  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key = NewKey([]byte("correct horse battery staple, and more"))
)

// fill appends n records to the log in dir, in files of per records, and returns its tip.
func fill(t testing.TB, dir string, keys Keys, n, per int) Tip {
	t.Helper()
	l, err := Open(dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	l.now = func() time.Time { return t0 }
	for i := range n {
		if i > 0 && i%per == 0 {
			l.stale = true
		}
		if _, err := l.Append(Record{At: t0.Add(time.Duration(i) * time.Second), Kind: "act",
			Text: fmt.Sprintf("record %d\nwith a line break", i), Data: []byte(`{"a":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	tip := l.Tip()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return tip
}

func whole(t testing.TB, dir string, keys Keys, tips ...Tip) Report {
	t.Helper()
	r, err := VerifyFolder(dir, keys, tips...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordsChainAndVerify(t *testing.T) {
	for name, keys := range map[string]Keys{"with a key": {key}, "without": nil} {
		dir := t.TempDir() + "/audit"
		fill(t, dir, keys, 3, 100)
		tip := fill(t, dir, keys, 2, 100) // opened again: the chain goes on
		r := whole(t, dir, keys, tip)
		if len(r.Faults) > 0 || r.Records != 6 || r.Tip != tip || r.Sealed != 6*len(keys) || !r.From.Equal(t0) {
			t.Errorf("%s: %+v", name, r)
		}
		n := 0
		if err := Read(dir, func(x Record) error { n++; return nil }); err != nil || n != 6 {
			t.Errorf("%s: %d records are read: %v", name, n, err)
		}
	}
}

func TestTheChainGoesOnAcrossFiles(t *testing.T) {
	dir := t.TempDir() + "/audit"
	tip := fill(t, dir, Keys{key}, 3*(keepFiles+3), 3)
	r := whole(t, dir, Keys{key}, tip)
	if len(r.Faults) > 0 || r.Files != keepFiles+1 || r.Records != 4*(keepFiles+1) {
		t.Fatalf("%+v", r)
	}
}

func TestATornEndIsCutAtEveryByteAndKeptAside_F52(t *testing.T) {
	src := t.TempDir() + "/audit"
	fill(t, src, nil, 3, 100)
	b, err := os.ReadFile(filepath.Join(src, fileName))
	if err != nil {
		t.Fatal(err)
	}
	three := len(b) - len(bytes.SplitAfter(b, []byte("\n"))[3])
	for cut := three; cut < len(b); cut++ {
		dir := filepath.Join(t.TempDir(), "audit")
		write(t, dir, map[string][]byte{fileName: b[:cut]})
		l, err := Open(dir, nil)
		if err != nil || l.Damage() != "" {
			t.Fatalf("cut at %d: %v %s", cut, err, l.Damage())
		}
		r, err := l.Append(Record{At: t0, Kind: "after"})
		if err != nil || r.Seq != 4 {
			t.Fatalf("cut at %d: record %d, %v", cut, r.Seq, err)
		}
		l.Close()
		if r := whole(t, dir, nil); r.Records != 4 || len(r.Faults) > 0 {
			t.Fatalf("cut at %d: %+v", cut, r)
		}
		if aside, _ := os.ReadFile(filepath.Join(dir, "torn-4")); cut > three && !bytes.Equal(aside, b[three:cut]) {
			t.Fatalf("cut at %d: the torn end was not kept", cut)
		}
	}
}

func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, recordMode); err != nil {
			t.Fatal(err)
		}
	}
}

// A changed record is not a torn one: nothing is cut, the file stays as it is, and
// whoever opens the log hears of it at each start.
func TestAChangedRecordIsKeptAndSaid_S08(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"in the middle": func(b []byte) []byte {
			return bytes.Replace(b, []byte("record 1"), []byte("record 7"),
				1)
		},
		"the last one": func(b []byte) []byte {
			return bytes.Replace(b, []byte("record 4"), []byte("record 7"),
				1)
		},
		"the first one": func(b []byte) []byte {
			return bytes.Replace(b, []byte("start of"), []byte("start on"),
				1)
		},
		"an empty line":        func(b []byte) []byte { return append(b, '\n') },
		"a line of somebody's": func(b []byte) []byte { return append(b, "{\"seq\":7,\"prev\":\"\"}\n"...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/audit"
			fill(t, dir, Keys{key}, 5, 100)
			b, _ := os.ReadFile(filepath.Join(dir, fileName))
			b = change(b)
			write(t, dir, map[string][]byte{fileName: b})
			for range 2 {
				l, err := Open(dir, Keys{key})
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(l.Damage(), "is not intact") {
					t.Errorf("damage: %q", l.Damage())
				}
				if _, err := l.Append(Record{At: t0, Kind: "after"}); err != nil {
					t.Errorf("nothing can be recorded any more: %v", err)
				}
				l.Close()
			}
			kept, _ := os.ReadFile(rotated(dir, 1))
			if torn, _ := filepath.Glob(dir + "/torn-*"); !bytes.Equal(kept, b) || len(torn) > 0 {
				t.Errorf("the damaged file was not kept as it is; %v", torn)
			}
			if r := whole(t, dir, Keys{key}); len(r.Faults) != 1 || r.Broken {
				t.Errorf("%v", r.Faults)
			}
		})
	}
}

// badDisk is a file whose disk can fail.
type badDisk struct {
	file
	write, sync *error
}

func (d badDisk) Write(b []byte) (int, error) {
	if *d.write != nil {
		n, _ := d.file.Write(b[:len(b)/2]) // as far as it had room
		return n, *d.write
	}
	return d.file.Write(b)
}

func (d badDisk) Sync() error {
	if *d.sync != nil {
		return *d.sync
	}
	return d.file.Sync()
}

// While the disk takes nothing nothing is appended, and the log says so; once there is
// room again, it goes on behind the last record that was acknowledged.
func TestALogHealsWhenItsDiskDoes_S09_F50_F51(t *testing.T) {
	for name, fails := range map[string][2]error{"no room": {errors.New("no space left on device")},
		"no fsync": {nil, errors.New("input/output error")}} {
		t.Run(name, func(t *testing.T) {
			var writing, syncing error
			dir := t.TempDir() + "/audit"
			l, err := Open(dir, Keys{key})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			open := l.open
			l.open = func(path string) (file, error) {
				f, err := open(path)
				return badDisk{f, &writing, &syncing}, err
			}
			l.file = badDisk{l.file, &writing, &syncing}
			appended := func() error { _, err := l.Append(Record{At: t0, Kind: "act"}); return err }
			if err := appended(); err != nil {
				t.Fatal(err)
			}
			writing, syncing = fails[0], fails[1]
			for range 3 {
				if err := appended(); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "free the disk") {
					t.Fatalf("%v", err)
				}
			}
			if !errors.Is(l.Try(), ErrClosed) {
				t.Error("the log says that it can be written")
			}
			writing, syncing = nil, nil
			if err := errors.Join(l.Try(), appended()); err != nil {
				t.Fatalf("it does not go on: %v", err)
			}
			if r := whole(t, dir, Keys{key}, l.Tip()); len(r.Faults) > 0 || r.Records != 4 {
				t.Errorf("%+v", r)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, fileName)); !bytes.Contains(b,
				[]byte("the audit log was not writable since")) {
				t.Errorf("the gap is not in the record: %s", b)
			}
		})
	}
}

// counted is a file that counts its syncs.
type counted struct {
	file
	syncs *int
}

func (c counted) Sync() error {
	*c.syncs++
	return c.file.Sync()
}

func TestRecordsThatBelongTogetherAreOneSyncAndAllOrNone(t *testing.T) {
	dir := t.TempDir() + "/audit"
	l, err := Open(dir, Keys{key})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(Record{At: t0, Kind: "first"}); err != nil {
		t.Fatal(err)
	}
	syncs := 0
	l.file = counted{l.file, &syncs}
	three, err := l.AppendAll(Record{At: t0, Kind: "a"}, Record{At: t0, Kind: "b"}, Record{At: t0, Kind: "c"})
	if err != nil || syncs != 1 || len(three) != 3 || three[2].Prev != three[1].Hash || three[2].Hash != l.Tip().Hash {
		t.Errorf("%d syncs, %v: %+v", syncs, err, three)
	}
	tip := l.Tip()
	if _, err := l.AppendAll(Record{At: t0, Kind: "d"}, Record{At: t0, Text: strings.Repeat("x", maxRecord)}); err == nil ||
		l.Tip() != tip {
		t.Errorf("one that is too large: %v, %+v", err, l.Tip())
	}
	failed := error(errors.New("input/output error"))
	l.file = badDisk{l.file, new(error), &failed}
	if _, err := l.AppendAll(Record{At: t0, Kind: "e"}, Record{At: t0, Kind: "f"}); !errors.Is(err, ErrClosed) {
		t.Errorf("without a sync: %v", err)
	}
	if err := l.Try(); err != nil {
		t.Fatal(err)
	}
	// A header, the first, three, and the gap.
	if r := whole(t, dir, Keys{key}, l.Tip()); len(r.Faults) > 0 || r.Records != 6 {
		t.Errorf("%+v", r)
	}
}

func TestAKeyIsReplacedAndOldFilesStayVerified_SEC28(t *testing.T) {
	dir := t.TempDir() + "/audit"
	next := NewKey([]byte("another secret of more than 32 characters"))
	fill(t, dir, nil, 3, 100) // before there was a key
	fill(t, dir, Keys{key}, 3, 100)
	tip := fill(t, dir, Keys{next, key}, 3, 100)
	if r := whole(t, dir, Keys{next, key}, tip); len(r.Faults) > 0 || r.Files != 3 || r.Sealed != 8 {
		t.Errorf("%+v", r)
	}
	if r := whole(t, dir, Keys{next}); len(r.Faults) != 1 || !strings.Contains(r.Faults[0].What, key.id) {
		t.Errorf("without the old key: %v", r.Faults)
	}
	l, err := Open(dir, nil)
	if err != nil || !strings.Contains(l.Damage(), "sealed with key") {
		t.Errorf("without any key: %v %q", err, l.Damage())
	}
	l.Close()
}

func TestKeysAreReadAndNeverShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	secret := strings.Repeat("s3cret", 8)
	for text, want := range map[string]string{secret + "\n\n" + secret + "2\n": "", "short\n": "the minimum is 32",
		"\n": "has no keys"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeys(path)
		if want == "" && (err != nil || len(keys) != 2) || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v %v", text, keys, err)
		}
		if shown := fmt.Sprintf("%v %s %+v", keys, keys, err); strings.Contains(shown, "s3cret") ||
			strings.Contains(shown, "short\"") {
			t.Errorf("shown: %s", shown)
		}
	}
}

func TestASecondWriterAndAnOpenFolderAreRefused(t *testing.T) {
	dir := t.TempDir() + "/audit"
	l, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, nil); err == nil || !strings.Contains(err.Error(), "another process writes to it") {
		t.Fatal(err)
	}
	l.Close()
	if _, err := l.Append(Record{Kind: "act"}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, nil); err == nil || !strings.Contains(err.Error(), "make it 0700") {
		t.Fatal(err)
	}
}

// FuzzOpen: whatever a folder holds, the log opens, takes records, and says what is wrong.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("{\"seq\":1}\n"))
	f.Add([]byte("\n\n{"))
	f.Add([]byte("{\"seq\":1,\"kind\":\"log\",\"data\":{\"log\":\"a\",\"alg\":\"none\"}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := filepath.Join(t.TempDir(), "audit")
		write(t, dir, map[string][]byte{fileName: b})
		l, err := Open(dir, Keys{key})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if bytes.IndexByte(b, '\n') >= 0 && l.Damage() == "" {
			t.Fatalf("%q passes for a log", b)
		}
		if _, err := l.Append(Record{Kind: "act", Text: "after"}); err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(filepath.Join(dir, fileName))
		if err != nil || !bytes.Contains(now, []byte("after")) {
			t.Fatalf("%q: %v", now, err)
		}
		alone := filepath.Join(t.TempDir(), "audit")
		write(t, alone, map[string][]byte{fileName: now})
		for _, fault := range whole(t, alone, Keys{key}).Faults {
			if !strings.Contains(fault.What, "older files") {
				t.Fatalf("after recovery: %v", fault)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := Open(b.TempDir()+"/audit", Keys{key})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for b.Loop() {
		if _, err := l.Append(Record{At: t0, Kind: "act",
			Text: "restart agent-system/deployment/agent-system"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify reads a whole log; records/s is what matters.
func BenchmarkVerify(b *testing.B) {
	const n = 20_000
	dir := b.TempDir() + "/audit"
	var text []byte
	l := &Log{keys: Keys{key}, id: "bench", now: func() time.Time { return t0 }}
	s, prev := l.keys.seal(), ""
	for k := range n {
		r := Record{At: t0, Kind: "act", Incident: "01jq2v", Target: "agent-system/deployment/agent-system",
			Actor: "watchdog", Text: "restart agent-system/deployment/agent-system",
			Data: []byte(`{"patch":{"spec":{}}}`)}
		if k == 0 {
			r = l.header()
		}
		r.Seq, r.Prev = uint64(k+1), prev
		line, hash, err := s.line(r)
		if err != nil {
			b.Fatal(err)
		}
		text, prev = append(text, line...), hash
	}
	write(b, dir, map[string][]byte{fileName: text})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if r := whole(b, dir, Keys{key}); r.Records != n || len(r.Faults) > 0 {
			b.Fatalf("%+v", r)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
}
