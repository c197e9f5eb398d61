// Package fileutil is what watchdog's folders of state have in common: one writer,
// and files that a crash leaves either old or new.
//
// It owns the order of write, sync and rename. What the files mean is left to
// the packages that write them.
//
// Its one rule: what it reported done is there after a crash of the host.
package fileutil

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	unborn   = ".new" // suffix of a file that is not whole yet
)

// Claim makes dir this process's own until the returned lock is closed, creating
// the folder if need be. A folder that others may write to is refused; so is a
// second process.
func Claim(dir string) (lock io.Closer, err error) {
	if err := Private(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process writes to it: %w", err)
	}
	return f, nil
}

// Replace writes a file beside path and swaps it in, so that a crash leaves the
// old content or the new. After an error the old content stays.
func Replace(path string, write func(io.Writer) error) error {
	tmp := path + unborn
	// Made anew: a file that lies there may be somebody else's, or lead elsewhere.
	_ = os.Remove(tmp)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(f)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir durable: files made, renamed and removed.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
