//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// container is one container of a pod. Its fields belong to the pod's goroutine
// under the pod's lock.
type container struct {
	p    *pod
	spec *v1.Container

	state    v1.ContainerState
	last     v1.ContainerState
	restarts int32
	ready    bool
	pulledAt time.Time
	pullErr  bool
	retryAt  time.Time
	oom      bool   // killed for its memory limit
	termed   bool   // was sent SIGTERM
	told     string // the last Event of a failed creation

	cmd    *exec.Cmd
	exited chan int

	readiness prober
	liveness  prober
	usage     usage
}

func newContainer(p *pod, spec *v1.Container) *container {
	return &container{p: p, spec: spec, state: waiting("ContainerCreating", "")}
}

func waiting(reason, message string) v1.ContainerState {
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// sync moves the container one step towards what the pod wants.
func (c *container) sync() {
	c.reap()
	switch {
	case c.state.Running != nil:
		c.probe()
	case c.state.Terminated != nil:
		c.backOff()
	case c.state.Waiting != nil && !time.Now().Before(c.retryAt):
		c.pullAndStart()
	}
}

// maxBackOff caps the doubling back-off, as in a real kubelet.
const maxBackOff = 5 * time.Minute

// backOff decides whether a terminated container runs again, and when.
func (c *container) backOff() {
	policy, code := c.p.obj.Spec.RestartPolicy, c.state.Terminated.ExitCode
	if policy == v1.RestartPolicyNever || policy == v1.RestartPolicyOnFailure && code == 0 {
		return
	}
	wait := min(c.p.k.backoff<<min(c.restarts, 12), maxBackOff)
	c.last, c.retryAt = c.state, time.Now().Add(wait)
	c.state = waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", wait,
		c.spec.Name, c.p.obj.Name))
	c.p.event(v1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", c.spec.Name,
		c.p.obj.Name)
}

func (c *container) pullAndStart() {
	if c.p.refused != "" {
		c.fail(errors.New("not simulated by the testbed: " + c.p.refused))
		return
	}
	im, err := c.p.k.images.lookup(c.spec.Image)
	if err != nil {
		c.notPulled(err)
		return
	}
	if c.pulledAt.IsZero() {
		c.pulledAt = time.Now().Add(time.Duration(im.PullDelay))
		c.p.event(v1.EventTypeNormal, "Pulling", "Pulling image %q", c.spec.Image)
	}
	if time.Now().Before(c.pulledAt) {
		return
	}
	if err := c.start(im); err != nil {
		c.fail(err)
		return
	}
	if c.last.Terminated != nil {
		c.restarts++
	}
	c.state = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.Now()}}
	c.ready, c.oom, c.told = false, false, ""
	c.readiness.reset(c.spec.ReadinessProbe)
	c.liveness.reset(c.spec.LivenessProbe)
	c.p.event(v1.EventTypeNormal, "Started", "Started container %s", c.spec.Name)
}

func (c *container) fail(err error) {
	c.retryAt = time.Now().Add(2 * time.Second)
	state, event, message := notCreated(err)
	if c.told != message {
		c.p.event(v1.EventTypeWarning, event, "%s", message)
	}
	c.state, c.told = state, message
}

func (c *container) notPulled(err error) {
	if !c.pullErr {
		c.pullErr, c.retryAt = true, time.Now().Add(500*time.Millisecond)
		c.state = waiting("ErrImagePull", fmt.Sprintf("failed to pull image %v", err))
		c.p.event(v1.EventTypeWarning, "Failed", "Failed to pull image %v", err)
		return
	}
	c.retryAt = time.Now().Add(time.Second)
	c.state = waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %v", c.spec.Image, err))
}

// start runs the image's program as a process group of its own.
func (c *container) start(im image) error {
	if len(im.Exec) == 0 {
		return nil
	}
	if !im.Chroot {
		if m := c.ownMount(); m != "" {
			return fmt.Errorf("volumeMount %s: only an image marked chroot in the catalogue has volumes", m)
		}
	}
	root, err := c.layVolumes()
	if err != nil {
		return err
	}
	env, err := c.environment(im, root)
	if err != nil {
		return err
	}
	argv := c.argv(im, env)
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	dir := "/"
	if im.Chroot && c.p.k.root {
		if err := install(argv[0], root); err != nil {
			return err
		}
		attr.Chroot = root
		argv[0] = "/bin/" + filepath.Base(argv[0])
		if attr.Credential, err = c.credential(); err != nil {
			return err
		}
	} else if im.Chroot {
		dir = root
		for i := range argv[1:] {
			argv[1+i] = relocate(argv[1+i], root, c.spec.VolumeMounts)
		}
	}
	log, err := c.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := &exec.Cmd{Path: argv[0], Args: argv, Env: env, Dir: dir, SysProcAttr: attr, Stdout: log, Stderr: log}
	started := make(chan error)
	c.p.k.start <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	c.cmd, c.exited = cmd, make(chan int, 1)
	go func(exited chan<- int) {
		_ = cmd.Wait()
		exited <- exitCode(cmd.ProcessState)
		c.p.wake()
	}(c.exited)
	return nil
}

// exitCode is 128 + signal for a process that a signal ended, as in a real kubelet.
func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// reap takes notice of a process that ended.
func (c *container) reap() {
	if c.exited == nil {
		return
	}
	select {
	case code := <-c.exited:
		t := &v1.ContainerStateTerminated{ExitCode: int32(code), Reason: "Completed", FinishedAt: metav1.Now()}
		switch {
		case c.oom:
			t.Reason = "OOMKilled"
		case code != 0:
			t.Reason = "Error"
		}
		if c.state.Running != nil {
			t.StartedAt = c.state.Running.StartedAt
		}
		c.state = v1.ContainerState{Terminated: t}
		c.cmd, c.exited, c.ready = nil, nil, false
	default:
	}
}

func (c *container) signal(s syscall.Signal) {
	if c.cmd != nil {
		_ = syscall.Kill(-c.cmd.Process.Pid, s)
	}
}

// openLog opens a log of this run alone, and keeps that of the run before for
// kubectl logs --previous. A pod that only has the name of an earlier one starts afresh.
func (c *container) openLog() (*os.File, error) {
	path := c.logPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	keep := func() error { return os.Rename(path, path+".previous") }
	if c.last.Terminated == nil {
		keep = func() error { return os.Remove(path + ".previous") }
	}
	if err := keep(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o644)
}

func (c *container) logPath() string {
	return logPath(c.p.k.dir, c.p.obj.Namespace, c.p.obj.Name, c.spec.Name)
}

func logPath(dir, namespace, pod, name string) string {
	return filepath.Join(dir, "logs", namespace+"_"+pod+"_"+name+".log")
}
