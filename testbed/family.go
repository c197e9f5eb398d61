//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// family are the component processes of one control plane. They die with the
// process that started them.
type family struct {
	dir  string
	dead chan string
	all  []*member
	work chan func()
}

type member struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{}
}

// newFamily keeps one thread for starting children: the signal that a child gets
// at its parent's death follows the thread that started it, not the process.
func newFamily(dir string) family {
	f := family{dir: dir, dead: make(chan string, 8), work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for w := range f.work {
			w()
		}
	}()
	return f
}

// launch starts this very binary as the named component.
func (f *family) launch(name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(f.dir, name+".log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{name}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	f.work <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	m := &member{name: name, cmd: cmd, gone: make(chan struct{})}
	f.all = append(f.all, m)
	go func() {
		_ = cmd.Wait()
		log.Close()
		close(m.gone)
		f.dead <- name
	}()
	return os.WriteFile(filepath.Join(f.dir, name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

// died explains the end of a component with the end of its log.
func (f *family) died(name string) error {
	b, _ := os.ReadFile(filepath.Join(f.dir, name+".log"))
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return fmt.Errorf("%s ended; the last lines of %s.log in %s:\n%s", name, name, f.dir,
		bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}

// stop ends the components, the last started first: pods before the API server, and that before etcd.
func (f *family) stop() {
	for _, m := range slices.Backward(f.all) {
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		limit := 1500 * time.Millisecond
		if m.name == "kubelet-sim" {
			limit = 3 * time.Second
		}
		select {
		case <-m.gone:
		case <-time.After(limit):
			// The state is thrown away; politeness has its limit.
			_ = m.cmd.Process.Kill()
			<-m.gone
		}
	}
}

func restConfig(path string) (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", path) }
