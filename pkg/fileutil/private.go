package fileutil

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	groupWrites  fs.FileMode = 0o020
	othersWrite  fs.FileMode = 0o002
	noFollowRead             = os.O_RDONLY | syscall.O_NOFOLLOW
)

// Private makes dir if need be and returns an error if others than this process's user
// may write to it.
//
// A folder that its group may write to is made private again: on each mount of a volume
// with an fsGroup, the kubelet gives the group of everything in it the right to write.
func Private(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if mode&othersWrite == 0 && mode&groupWrites != 0 && os.Chmod(dir, dirMode) == nil {
		mode = dirMode
	}
	if mode&(groupWrites|othersWrite) != 0 {
		return fmt.Errorf("the folder %s may be written by others (mode %04o); make it 0700", dir, mode)
	}
	return ours(dir, info)
}

// MakeData makes the data directory, in which all folders are. One that everybody may write
// to is refused, but not in a pod: an emptyDir has mode 0777, and only the containers of the pod reach
// it. What lies in it is watchdog's own in either case: see [Private].
func MakeData(dir string, inPod bool) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&othersWrite != 0 && !inPod {
		return fmt.Errorf("everybody may write to the data directory %s (mode %04o): chmod 0700 %[1]s", dir, mode)
	}
	return nil
}

// OpenPrivate opens a file of state for reading. One that others may have written is an
// error, and so is a symbolic link.
func OpenPrivate(path string) (*os.File, error) {
	f, err := os.OpenFile(path, noFollowRead, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&othersWrite != 0 {
		err = fmt.Errorf("the file %s may be written by others (mode %04o); remove it, or make it 0600", path,
			info.Mode().Perm())
	}
	if err == nil {
		err = ours(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ours returns an error if somebody else may have put what info describes into its
// folder. In a folder that not everybody may write to, the owner proves nothing: some
// network file systems show another one than the process that wrote.
func ours(path string, info fs.FileInfo) error {
	above, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if above.Mode().Perm()&othersWrite == 0 || !known || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d and lies in a folder that everybody may write to; watchdog runs as "+
		"user %d and does not use it: remove it", path, owner.Uid, os.Geteuid())
}
