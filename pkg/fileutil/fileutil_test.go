package fileutil

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFolderHasOneWriterAndNoOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	lock, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir); err == nil || !strings.Contains(err.Error(), "another process writes to it") {
		t.Errorf("a second writer: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir); err == nil || !strings.Contains(err.Error(), "make it 0700") {
		t.Errorf("an open folder: %v", err)
	}
}

func TestAFileIsOldOrNewNeverHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	put := func(text string, end error) error {
		return Replace(path, func(w io.Writer) error {
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			return end
		})
	}
	full := errors.New("disk full")
	for _, tc := range []struct {
		name, text string
		end        error
		want       string
	}{
		{"the first content", "one", nil, "one"},
		{"a write that fails leaves what was there", "tw", full, "one"},
		{"the next content, shorter", "2", nil, "2"},
	} {
		if err := put(tc.text, tc.end); !errors.Is(err, tc.end) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.end)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != tc.want {
			t.Errorf("%s: %q (%v), want %q", tc.name, b, err, tc.want)
		}
		if left, err := filepath.Glob(path + ".*"); err != nil || len(left) != 0 {
			t.Errorf("%s: %v is left behind (%v)", tc.name, left, err)
		}
	}
}
