package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
)

// content is every file of a log.
func content(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all, err := files(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]byte{}
	for _, name := range all {
		if m[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// rewrite makes the chain anew from a record on, as far as somebody without the key can.
func rewrite(t testing.TB, lines [][]byte, from int, s seal) {
	t.Helper()
	prev := ""
	if from > 0 {
		var r Record
		if err := json.Unmarshal(lines[from-1], &r); err != nil {
			t.Fatal(err)
		}
		prev = r.Hash
	}
	for k := from; k < len(lines); k++ {
		var r Record
		if err := json.Unmarshal(lines[k], &r); err != nil {
			t.Fatal(err)
		}
		if r.Prev = prev; r.Kind == headerKind && s.Algorithm == plain {
			r.Data = fmt.Appendf(nil, `{"log":%q,"alg":"sha256"}`, s.Log)
		}
		line, hash, err := s.line(r)
		if err != nil {
			t.Fatal(err)
		}
		lines[k], prev = line, hash
	}
}

// 10,000 random edits of a log of several files: bytes, records deleted, inserted,
// swapped, head and tail cut, files removed and exchanged, the chain made anew
// without the key. All of them are found.
func TestEveryChangeIsFound_S08_INV39_SEC25(t *testing.T) {
	dir := t.TempDir() + "/audit"
	tip := fill(t, dir, Keys{key}, 18, 6)
	good := content(t, dir)
	if r := whole(t, dir, Keys{key}, tip); len(good) != 3 || len(r.Faults) > 0 {
		t.Fatalf("%d files, %v", len(good), r.Faults)
	}
	names := []string{"audit.2.jsonl", "audit.1.jsonl", fileName}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10000 {
		now, what := maps.Clone(good), ""
		name := names[r.IntN(len(names))]
		lines := slices.DeleteFunc(bytes.SplitAfter(good[name], []byte("\n")),
			func(l []byte) bool { return len(l) == 0 })
		n := r.IntN(len(lines))
		switch i % 9 {
		case 0:
			b := bytes.Clone(good[name])
			at := r.IntN(len(b))
			b[at] ^= byte(1 + r.IntN(255))
			now[name], what = b, fmt.Sprintf("byte %d of %s changed", at, name)
		case 1:
			now[name], what = bytes.Join(slices.Delete(slices.Clone(lines), n, n+1),
				nil), fmt.Sprintf("line %d of %s deleted", n+1, name)
		case 2:
			from := bytes.SplitAfter(good[names[r.IntN(len(names))]], []byte("\n"))[r.IntN(6)]
			now[name], what = bytes.Join(slices.Insert(slices.Clone(lines), n, from),
				nil), fmt.Sprintf("a record inserted before line %d of %s", n+1, name)
		case 3:
			m := (n + 1 + r.IntN(len(lines)-1)) % len(lines)
			moved := slices.Clone(lines)
			moved[n], moved[m] = moved[m], moved[n]
			now[name], what = bytes.Join(moved, nil), fmt.Sprintf("lines %d and %d of %s swapped", n+1, m+1, name)
		case 4:
			now[fileName] = good[fileName][:r.IntN(len(good[fileName]))]
			what = fmt.Sprintf("the tail cut to %d bytes", len(now[fileName]))
			if r.IntN(4) == 0 {
				delete(now, fileName)
				what = "the last file removed"
			}
		case 5:
			now[names[0]] = good[names[0]][1+r.IntN(len(good[names[0]])-1):]
			what = fmt.Sprintf("the head cut to %d bytes", len(now[names[0]]))
			if r.IntN(4) == 0 {
				delete(now, names[0])
				what = "the first file removed"
			}
		case 6:
			other := names[(slices.Index(names, name)+1)%len(names)]
			if now[name], now[other], what = good[other], good[name], name+" and "+other+" exchanged"; r.IntN(2) == 0 {
				now[name] = good[other]
				now[other], what = good[other], other+" copied over "+name
			}
		case 7:
			s := Keys{NewKey(fmt.Appendf(nil, "a key of somebody else's, %d", i))}.seal()
			if r.IntN(2) == 0 {
				s = seal{Algorithm: plain, Log: tip.Log}
			}
			forged := slices.Clone(lines)
			forged[n] = bytes.Replace(forged[n], []byte("watchdog"), []byte("mallory"), 1)
			rewrite(t, forged, n, s)
			now[name], what = bytes.Join(forged, nil), fmt.Sprintf("%s made anew from line %d with %s", name, n+1,
				s.Algorithm)
		case 8: // all of it, as a log without a key
			var all [][]byte
			for _, x := range names {
				all = append(all, slices.DeleteFunc(bytes.SplitAfter(good[x], []byte("\n")),
					func(l []byte) bool { return len(l) == 0 })...)
			}
			all = all[:len(all)-r.IntN(len(all)-1)]
			rewrite(t, all, 0, seal{Algorithm: plain, Log: tip.Log})
			now, what = map[string][]byte{fileName: bytes.Join(all,
				nil)}, fmt.Sprintf("%d records written anew without a key", len(all))
		}
		touched := fstest.MapFS{}
		for name, b := range now {
			touched[name] = &fstest.MapFile{Data: b}
		}
		if report, err := verifyAll(touched, Keys{key}, []Tip{tip}); err != nil || len(report.Faults) == 0 {
			t.Fatalf("not found: %s; %v", what, err)
		}
	}
}

// What the ledger noted is enough to see that the end was cut off, also for the
// daemon that starts on what is left.
func TestACutEndIsSeenByWhatWasNotedElsewhere_S08_SEC26(t *testing.T) {
	dir := t.TempDir() + "/audit"
	tip := fill(t, dir, nil, 6, 100)
	b := content(t, dir)[fileName]
	lines := bytes.SplitAfter(b, []byte("\n"))
	other := Tip{Log: "another", Seq: 1000, Hash: "x"}
	for _, tc := range []struct {
		name string
		left []byte
		tip  Tip
		want string
	}{
		{"all is there", b, tip, ""},
		{"an older tip is there", b, Tip{Log: tip.Log, Seq: 1, Hash: hashOf(t, lines[0])}, ""},
		{"nothing was noted", bytes.Join(lines[:4], nil), Tip{}, ""},
		{"another log's", b, other, ""},
		{"the end is gone", bytes.Join(lines[:4], nil), tip, "records 5 to 7 are missing at the end"},
		{"written anew since", b, Tip{Log: tip.Log, Seq: 3, Hash: "0000"}, "record 3 does not match its anchor"},
	} {
		touched := filepath.Join(t.TempDir(), "audit")
		write(t, touched, map[string][]byte{fileName: tc.left})
		l, err := Open(touched, nil)
		if err != nil {
			t.Fatal(err)
		}
		why, err := l.Verify(tc.tip, other)
		if err != nil || (why == "") != (tc.want == "") || !bytes.Contains([]byte(why), []byte(tc.want)) {
			t.Errorf("%s: %q, %v; want %q", tc.name, why, err, tc.want)
		}
		l.Close()
	}
}

func hashOf(t testing.TB, line []byte) string {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	return r.Hash
}

// FuzzVerify: a log that was touched in any way is not verified, or does not end in
// the record that was noted elsewhere (INV-39).
func FuzzVerify(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "audit")
	tip := fill(f, dir, Keys{key}, 5, 100)
	good := content(f, dir)[fileName]
	f.Add(uint16(7), uint16(1), []byte("x"))
	f.Add(uint16(0), uint16(300), []byte{})
	f.Add(uint16(200), uint16(0), []byte("\n"))
	f.Fuzz(func(t *testing.T, at, length uint16, with []byte) {
		from := int(at) % (len(good) + 1)
		to := min(len(good), from+int(length))
		touched := append(append(append([]byte{}, good[:from]...), with...), good[to:]...)
		r, err := verifyAll(fstest.MapFS{fileName: {Data: touched}}, Keys{key}, []Tip{tip})
		if err != nil || len(r.Faults) > 0 || bytes.Equal(touched, good) {
			return
		}
		// A record whose end is missing is what a crash leaves, and was never acknowledged.
		if !bytes.HasPrefix(touched, good) || bytes.IndexByte(touched[len(good):], '\n') >= 0 {
			t.Fatalf("bytes %d to %d became %q, and the log is verified", from, to, with)
		}
	})
}
