package selfwatch

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// A process that panics again and again on what it reads must not act between
// two of its crashes. The runtime writes the output of a panic to a file of
// the data directory; a process that was merely killed leaves none.
const (
	lastWords   = "crash.txt"
	crashWindow = time.Hour
	maxCrashes  = 3
	keepCrashes = 10
)

// WatchCrashes says why this process must not be trusted to act, if it crashed too
// often lately, and keeps its own crash output.
func WatchCrashes(dir string, now time.Time) (unfit string, err error) {
	path := filepath.Join(dir, lastWords)
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		if err := os.Rename(path, filepath.Join(dir,
			"crash-"+info.ModTime().UTC().Format("20060102T150405.000")+".txt")); err != nil {
			return "", fmt.Errorf("keep crash output: %w", err)
		}
	}
	kept, err := filepath.Glob(filepath.Join(dir, "crash-*.txt"))
	if err != nil {
		return "", err
	}
	for len(kept) > keepCrashes {
		_ = os.Remove(kept[0]) // names sort by time
		kept = kept[1:]
	}
	n := 0
	for _, k := range kept {
		if info, err := os.Stat(k); err == nil && now.Sub(info.ModTime()) < crashWindow {
			n++
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", fmt.Errorf("prepare the crash output file: %w", err)
	}
	defer f.Close()
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return "", fmt.Errorf("prepare the crash output file: %w", err)
	}
	if n < maxCrashes {
		return "", nil
	}
	return fmt.Sprintf("watchdog crashed %d times within %s, last with %q; see %s; to resume actions, "+
		"delete these files and restart", n, crashWindow, firstLine(kept[len(kept)-1]), filepath.Join(dir, "crash-*.txt")), nil
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unreadable output"
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}
