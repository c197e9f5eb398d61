package fleet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs beside this one.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *logFile
	done chan struct{}
}

// start runs a program whose output goes into a file, and ends it with ctx.
func start(ctx context.Context, dir, name, program string, env []string, args ...string) (*process, error) {
	log, err := newLogFile(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	p := &process{name: name, log: log, done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// It is never written to; the stand-ins end when it is closed.
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 20 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // who needs it to run sees that it is done
		close(p.done)
	}()
	return p, nil
}

// stop ends the program and waits until it has.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
}

// ended is why the program runs no more, if so.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%s); the end of its log %s:\n%s", p.name, p.cmd.ProcessState, p.log.path,
			p.log.last())
	default:
		return nil
	}
}

// longest is how long anything that is waited for may take.
const longest = 5 * time.Minute

// wait asks until yes, the end of ctx or of the program, or for too long.
func (p *process) wait(ctx context.Context, what string, every time.Duration, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		yes, err := ask()
		if yes {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("wait until %s: %w", what, p.ended())
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, errors.Join(ctx.Err(), err, fmt.Errorf("the end of the "+
				"log %s:\n%s", p.log.path, p.log.last())))
		case <-tick.C:
		}
	}
}

// usage is what a process has used so far.
type usage struct {
	rss, peak float64 // MiB
	cpu       float64 // seconds
}

// ticks a second in /proc; the same on all of Linux' common architectures.
const ticks = 100

func (p *process) usage() (usage, error) {
	if err := p.ended(); err != nil {
		return usage{}, err
	}
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return usage{}, fmt.Errorf("measure %s: %w", p.name, err)
	}
	var u usage
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			u.rss = kib / 1024
		case "VmHWM":
			u.peak = kib / 1024
		}
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return usage{}, fmt.Errorf("measure %s: %w", p.name, err)
	}
	// The second field is the program's name in parentheses, and may have spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] { // utime and stime
		n, _ := strconv.ParseFloat(f, 64)
		u.cpu += n / ticks
	}
	return u, nil
}

// ran is what a program used that has ended.
type ran struct {
	first, wall time.Duration // until the first byte of its output, and until its end
	cpu, peak   float64       // seconds, MiB
	lines       int
}

// run runs a program to its end.
func run(ctx context.Context, program string, args ...string) (ran, error) {
	var r ran
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return r, fmt.Errorf("start %s: %w", program, err)
	}
	lines := bufio.NewReader(out)
	for {
		_, err := lines.ReadSlice('\n')
		if err == nil || errors.Is(err, bufio.ErrBufferFull) {
			if r.lines++; r.lines == 1 {
				r.first = time.Since(began)
			}
			continue
		}
		break
	}
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	r.wall = time.Since(began)
	if s := cmd.ProcessState; s != nil {
		r.cpu = (s.UserTime() + s.SystemTime()).Seconds()
		if u, ok := s.SysUsage().(*syscall.Rusage); ok {
			r.peak = float64(u.Maxrss) / 1024
		}
	}
	if err != nil {
		return r, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, stderr.String())
	}
	return r, nil
}

// logFile keeps what a program writes, and when it wrote certain texts.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
	tail []byte
	at   map[string]time.Time // the last time that each of texts was written
}

// Texts in watchdog's log that tell how far it is.
const (
	stateLoaded         = `msg="state loaded"`
	configurationLoaded = `msg="configuration loaded"`
)

func newLogFile(path string) (*logFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	return &logFile{path: path, file: f, at: map[string]time.Time{}}, nil
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range []string{stateLoaded, configurationLoaded} {
		if bytes.Contains(p, []byte(text)) {
			l.at[text] = time.Now()
		}
	}
	l.tail = append(l.tail, p...)
	l.tail = l.tail[max(0, len(l.tail)-4096):]
	return l.file.Write(p)
}

func (l *logFile) when(text string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[text]
}

func (l *logFile) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}
