package ingest

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
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
		b := NewStore(Limits{})
		for _, a := range p.Alerts {
			if len(a.Labels) == 0 || len(a.Labels) > maxLabels || !plainWord(a.Fingerprint) ||
				a.StartsAt.After(t0.Add(maxAhead)) {
				t.Fatalf("%+v was taken", a)
			}
			for n, v := range a.Labels {
				if len(v) > maxValue || !utf8.ValidString(string(v)) ||
					strings.ContainsFunc(string(n)+string(v), unicode.IsControl) {
					t.Fatalf("label %q=%q was taken", n, v)
				}
			}
			d := newDraft(b, t0)
			d.take(a)
			for _, l := range d.lines() {
				if bytes.ContainsRune(l, '\n') {
					t.Fatalf("a record of two lines: %q", l)
				}
				if err := NewStore(Limits{}).restore(l, t0); err != nil {
					t.Fatalf("what was written cannot be read: %v: %s", err, l)
				}
			}
			b.put(d.changed)
		}
	})
}

// FuzzReplay: a journal whose last file was changed in any way is read. What is read
// was acknowledged, in its order; a frame that was not touched is among it, and opening
// it again finds the same (F-52, S24).
func FuzzReplay(f *testing.F) {
	whole := written(f, filepath.Join(f.TempDir(), "j"), 4)
	frameLen := len(whole) / 4
	var all []string
	for l := range strings.Lines(string(bytes.Join(split(whole), nil))) {
		all = append(all, strings.TrimSpace(l))
	}
	f.Fuzz(func(t *testing.T, at, length uint16, with []byte) {
		from := int(at) % (len(whole) + 1)
		to := min(len(whole), from+int(length))
		dir := inFolder(t, bytes.Join([][]byte{whole[:from], with, whole[to:]}, nil))
		lines, found, err := readAround(t, dir)
		if err != nil {
			t.Fatalf("nothing is read: %v", err)
		}
		left := all
		for n, l := range lines {
			k := slices.Index(left, l)
			if k < 0 && !bytes.Contains(with, magic[:]) {
				t.Fatalf("line %d is %q, which was not written there", n, l)
			}
			left = left[k+1:]
		}
		for n, l := range all {
			if begin := n / 2 * frameLen; (begin+frameLen <= from || begin >= to) && !slices.Contains(lines, l) &&
				!bytes.Contains(with, magic[:]) {
				t.Fatalf("%q was not touched and is not read: %q", l, lines)
			}
		}
		again, foundAgain, err := readAround(t, dir)
		if err != nil || foundAgain.torn != 0 || len(foundAgain.damage) != len(found.damage) ||
			!slices.Equal(again, lines) {
			t.Fatalf("%d lines, %+v; the second time %d lines, %+v, %v", len(lines), found, len(again), foundAgain, err)
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
