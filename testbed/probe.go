//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// prober performs one probe of a container outside the pod's lock: a slow
// health endpoint must not delay the pod's other status.
type prober struct {
	next   time.Time
	fails  int
	passes int
	result chan error // a probe is running while it is not nil
}

func (r *prober) reset(spec *v1.Probe) {
	*r = prober{}
	if spec != nil {
		r.next = time.Now().Add(time.Duration(spec.InitialDelaySeconds) * time.Second)
	}
}

// due starts a probe when it is time and returns the result of one that ended.
func (r *prober) due(spec *v1.Probe, period time.Duration, do func() error, wake func()) (err error, ended bool) {
	if r.result != nil {
		select {
		case err := <-r.result:
			r.result = nil
			if err == nil {
				r.passes, r.fails = r.passes+1, 0
			} else {
				r.passes, r.fails = 0, r.fails+1
			}
			return err, true
		default:
			return nil, false
		}
	}
	if spec == nil || time.Now().Before(r.next) {
		return nil, false
	}
	r.next = time.Now().Add(period)
	result := make(chan error, 1)
	r.result = result
	go func() {
		result <- do()
		wake()
	}()
	return nil, false
}

// unreadyPeriod makes rollouts quick: until it is ready a container is probed more often.
const unreadyPeriod = 250 * time.Millisecond

// probe performs readiness and liveness of a running container.
func (c *container) probe() {
	im, err := c.p.k.images.lookup(c.spec.Image)
	if err == nil && len(im.Exec) == 0 {
		c.pretend(im)
		return
	}
	if c.cmd == nil {
		return
	}
	if r := c.spec.ReadinessProbe; r == nil {
		c.ready = true
	} else {
		period := time.Duration(max(r.PeriodSeconds, 1)) * time.Second
		if !c.ready {
			period = unreadyPeriod
		}
		if err, ended := c.readiness.due(r, period, c.look(r), c.p.wake); ended {
			c.judgeReadiness(r, err)
		}
	}
	if l := c.spec.LivenessProbe; l != nil {
		if err, ended := c.liveness.due(l, time.Duration(max(l.PeriodSeconds, 1))*time.Second, c.look(l),
			c.p.wake); ended && err != nil {
			c.judgeLiveness(l, err)
		}
	}
}

func (c *container) judgeReadiness(r *v1.Probe, err error) {
	switch {
	case err == nil && c.readiness.passes >= int(max(r.SuccessThreshold, 1)):
		c.ready = true
	case err != nil && c.readiness.fails >= int(max(r.FailureThreshold, 1)):
		if c.ready {
			c.p.event(v1.EventTypeWarning, "Unhealthy", "Readiness probe failed: %v", err)
		}
		c.ready = false
	}
}

func (c *container) judgeLiveness(l *v1.Probe, err error) {
	if c.liveness.fails < int(max(l.FailureThreshold, 1)) {
		return
	}
	c.p.event(v1.EventTypeWarning, "Unhealthy", "Liveness probe failed: %v", err)
	c.p.event(v1.EventTypeNormal, "Killing", "Container %s failed liveness probe, will be restarted", c.spec.Name)
	c.signal(syscall.SIGKILL)
	c.liveness.fails = 0
}

// pretend is the life of a container without a process.
func (c *container) pretend(im image) {
	ran := time.Since(c.state.Running.StartedAt.Time)
	if im.Exit != nil && im.Sleep.over(ran) {
		c.exited = make(chan int, 1)
		c.exited <- *im.Exit
		return
	}
	c.ready = im.ReadyIn.over(ran)
}

// look returns one performance of the probe, with everything it needs copied
// out from under the lock.
func (c *container) look(r *v1.Probe) func() error {
	timeout := time.Duration(max(r.TimeoutSeconds, 1)) * time.Second
	host := local(c.p.ip)
	switch {
	case r.HTTPGet != nil:
		url := fmt.Sprintf("http://%s:%d%s", host, c.port(r.HTTPGet.Port), r.HTTPGet.Path)
		headers := slices.Clone(r.HTTPGet.HTTPHeaders)
		return func() error { return getOK(url, headers, timeout) }
	case r.TCPSocket != nil:
		addr := fmt.Sprintf("%s:%d", host, c.port(r.TCPSocket.Port))
		return func() error {
			conn, err := net.DialTimeout("tcp", addr, timeout)
			if err != nil {
				return err
			}
			return conn.Close()
		}
	}
	return func() error { return nil }
}

func (c *container) port(p intstr.IntOrString) int32 {
	for _, cp := range c.spec.Ports {
		if p.Type == intstr.String && cp.Name == p.StrVal {
			return cp.ContainerPort
		}
	}
	return p.IntVal
}

func getOK(url string, headers []v1.HTTPHeader, timeout time.Duration) error {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, h := range headers {
		req.Header.Add(h.Name, h.Value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", resp.StatusCode)
	}
	return nil
}
