package hints

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzDecode: whatever is posted is refused with one line, or is alerts within all
// bounds, which are the same after a stay in the journal (F-81).
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, posted []byte) {
		p, err := Decode(posted, "s", t0)
		if err != nil {
			if len(err.Error()) > 1000 || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Fatalf("the error is no line for a log: %q", err)
			}
			return
		}
		if len(p.Alerts) == 0 || len(p.Alerts) > maxAlerts || !json.Valid(posted) {
			t.Fatalf("%d alerts were taken from %q", len(p.Alerts), posted)
		}
		b := NewBook(Limits{})
		for _, a := range p.Alerts {
			if len(a.Labels) == 0 || len(a.Labels) > maxLabels || !plainWord(a.Fingerprint) || a.StartsAt.After(t0.Add(maxAhead)) {
				t.Fatalf("%+v was taken", a)
			}
			for n, v := range a.Labels {
				if len(v) > maxValue || !utf8.ValidString(string(v)) || strings.ContainsFunc(string(n)+string(v), unicode.IsControl) {
					t.Fatalf("label %q=%q was taken", n, v)
				}
			}
			d := newDraft(b, t0)
			d.take(a)
			for _, l := range d.lines() {
				if bytes.ContainsRune(l, '\n') {
					t.Fatalf("a record of two lines: %q", l)
				}
				if err := NewBook(Limits{}).restore(l, t0); err != nil {
					t.Fatalf("what was written cannot be read: %v: %s", err, l)
				}
			}
			b.put(d.changed)
		}
	})
}

// FuzzReplay: a journal whose last file was changed in any way is an error, or holds
// what was acknowledged up to some moment; what is cut off is its end, and opening it
// again changes nothing more (F-52).
func FuzzReplay(f *testing.F) {
	whole := written(f, filepath.Join(f.TempDir(), "j"), 4)
	var all []string
	for l := range strings.Lines(string(bytes.Join(split(whole), nil))) {
		all = append(all, strings.TrimSpace(l))
	}
	f.Fuzz(func(t *testing.T, at, length uint16, with []byte) {
		from := int(at) % (len(whole) + 1)
		to := min(len(whole), from+int(length))
		touched := bytes.Join([][]byte{whole[:from], with, whole[to:]}, nil)
		dir := filepath.Join(t.TempDir(), "j")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "segment-000000000001"), touched, 0o600); err != nil {
			t.Fatal(err)
		}
		lines, torn, err := replayed(t, dir)
		if err != nil {
			return
		}
		for n, l := range lines {
			if (n >= len(all) || l != all[n]) && !bytes.Contains(with, magic[:]) {
				t.Fatalf("line %d is %q, which was not written there", n, l)
			}
		}
		again, tornAgain, err := replayed(t, dir)
		if err != nil || tornAgain != 0 || strings.Join(again, "\n") != strings.Join(lines, "\n") {
			t.Fatalf("%d lines and %d bytes torn; the second time %d lines, %d bytes torn, %v", len(lines), torn, len(again), tornAgain, err)
		}
	})
}

// split returns the contents of the frames in b.
func split(b []byte) (contents [][]byte) {
	for r := bytes.NewReader(b); ; {
		_, content, err := readFrame(r)
		if err != nil {
			return contents
		}
		contents = append(contents, content)
	}
}
