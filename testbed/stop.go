//go:build linux

package main

import (
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
)

// leastGrace is what a program gets after SIGTERM even if its preStop hook took
// all of the grace period.
const leastGrace = 2 * time.Second

// terminate stops the containers as a kubelet does: the preStop hook, SIGTERM, and
// SIGKILL at the end of the grace period. It reports whether all are gone.
func (p *pod) terminate() bool {
	now := time.Now()
	if p.stopping.IsZero() {
		p.stopping = now
		for _, c := range p.containers {
			if c.cmd != nil {
				p.event(v1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
			}
		}
	}
	grace := 30 * time.Second
	if g := p.obj.DeletionGracePeriodSeconds; g != nil {
		grace = time.Duration(*g) * time.Second
	}
	done := true
	for _, c := range p.containers {
		c.reap()
		if c.state.Running == nil {
			continue
		}
		done = c.stop(now.Sub(p.stopping), grace) && done
	}
	return done
}

// stop moves a running container one step towards its end, so long after the
// pod's deletion, and reports whether it has ended.
func (c *container) stop(since, grace time.Duration) bool {
	term, kill := stopTimes(c.spec, grace)
	if c.cmd == nil {
		return since >= kill || since >= term && c.stopsIn().over(since-term)
	}
	if since >= term && !c.termed {
		c.termed = true
		c.signal(syscall.SIGTERM)
	}
	if since > kill {
		c.signal(syscall.SIGKILL)
	}
	return false
}

// stopTimes is how long after the deletion of its pod a container gets SIGTERM and SIGKILL.
func stopTimes(spec *v1.Container, grace time.Duration) (term, kill time.Duration) {
	if l := spec.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil && grace > 0 {
		term = min(time.Duration(l.PreStop.Sleep.Seconds)*time.Second, grace)
		return term, max(grace, term+leastGrace)
	}
	return 0, grace
}

// stopsIn is how long a container without a process goes on after SIGTERM.
func (c *container) stopsIn() span {
	im, err := c.p.k.images.lookup(c.spec.Image)
	if err != nil {
		return 0
	}
	return im.StopIn
}
