package fileutil

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// made makes a folder, or a file if it has content, with exactly this mode.
func made(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	err := os.MkdirAll(path, 0o700)
	if content != "" {
		err = errors.Join(os.Remove(path), os.WriteFile(path, []byte(content), 0o600))
	}
	if err = errors.Join(err, os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFolderOfStateIsWrittenByItsOwnerOnly_S21(t *testing.T) {
	for _, tc := range []struct {
		name string
		mode os.FileMode
		want string      // of the error
		then os.FileMode // mode afterwards
	}{
		{"one that is private", 0o700, "", 0o700},
		{"one that others may read", 0o755, "", 0o755},
		{"one that everybody may write to", 0o777, "may be written by others (mode 0777)", 0o777},
		{"one that all but the group may write to", 0o707, "may be written by others (mode 0707)", 0o707},
		{"one that the kubelet gave to the fsGroup", 0o770 | os.ModeSetgid, "", 0o700},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := made(t, filepath.Join(t.TempDir(), "state"), "", tc.mode)
			err := Private(dir)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != tc.then {
				t.Errorf("mode %v, %v; want %04o", info.Mode(), err, tc.then)
			}
		})
	}
}

func TestAFolderOfSomebodyElseInAnOpenFolderIsRefused_S21(t *testing.T) {
	mine := made(t, filepath.Join(t.TempDir(), "state"), "", 0o700)
	info, err := os.Stat(mine)
	if err != nil {
		t.Fatal(err)
	}
	info.Sys().(*syscall.Stat_t).Uid++
	if err := ours(mine, info); err != nil {
		t.Errorf("in a folder that only its owner may write to: %v", err)
	}
	made(t, filepath.Dir(mine), "", 0o777)
	if err := ours(mine, info); err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("in a folder that everybody may write to: %v", err)
	}
	if err := Private(mine); err != nil {
		t.Errorf("my own in a folder that everybody may write to, as an emptyDir is: %v", err)
	}
}

func TestAFileOfStateThatOthersMayHaveWrittenIsNotRead_S21(t *testing.T) {
	dir := t.TempDir()
	private, open, link := made(t, filepath.Join(dir, "private"), "x", 0o660), made(t, filepath.Join(dir, "open"),
		"x", 0o606), filepath.Join(dir, "link")
	if err := os.Symlink(private, link); err != nil {
		t.Fatal(err)
	}
	f, err := OpenPrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPrivate(open); err == nil || !strings.Contains(err.Error(),
		"may be written by others (mode 0606)") {
		t.Errorf("one that everybody may write to: %v", err)
	}
	if _, err := OpenPrivate(link); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if _, err := OpenPrivate(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestAFileThatLiesWhereOneIsMadeIsNotWrittenThrough_S21(t *testing.T) {
	dir := t.TempDir()
	theirs, path := made(t, filepath.Join(dir, "theirs"), "theirs", 0o600), filepath.Join(dir, "file")
	if err := os.Symlink(theirs, path+unborn); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, func(w io.Writer) error { _, err := io.WriteString(w, "mine"); return err }); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(theirs); err != nil || string(b) != "theirs" {
		t.Errorf("theirs is %q, %v", b, err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("mine is %q, %v", b, err)
	}
}
