package secretfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if s, err := Read(write("token", " s3cret\n")); s != "s3cret" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if _, err := Read(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "is the Secret there, with this key?") {
		t.Errorf("%v", err)
	}
	for name, file := range map[string]string{"is empty": write("empty", " \n"),
		"larger than 1 MiB": write("large", strings.Repeat("x", maxSize+1)), "is a directory": dir} {
		if s, err := Read(file); err == nil || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), file) || s != "" {
			t.Errorf("%s: %q, %v", name, s, err)
		}
	}
	// A file without an end, as a device is.
	if _, err := Read("/dev/zero"); err == nil {
		t.Error("/dev/zero is a secret")
	}
	if _, err := Authorities(write("ca", "no certificate, s3cret")); err == nil ||
		strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}
