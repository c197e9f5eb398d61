//go:build linux

package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod is one pod on this node. One goroutine owns its containers' lives; mu
// guards what others read.
type pod struct {
	k    *kubelet
	lay  sync.Mutex // one hand at a time lays volumes
	ip   string     // as the API knows it: 10.244.x.y
	born *v1.Pod    // as first seen: what never changes is read from it without the lock
	kick chan struct{}
	end  chan struct{}

	mu         sync.Mutex
	obj        *v1.Pod
	containers []*container
	stopping   time.Time // when the pod was first seen terminating
	sent       *v1.PodStatus
	sentAt     time.Time
	root       string // private roots of the containers, and volumes
	refused    string // a field that is not simulated: the pod fails loudly
	ended      bool
}

func newPod(k *kubelet, o *v1.Pod, ip string) *pod {
	p := &pod{k: k, ip: ip, born: o, obj: o, kick: make(chan struct{}, 1), end: make(chan struct{}),
		root: filepath.Join(k.dir, "roots", string(o.UID)), refused: unsupported(o)}
	for i := range o.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, &o.Spec.Containers[i]))
	}
	return p
}

func (p *pod) update(o *v1.Pod) {
	p.mu.Lock()
	p.obj = o
	p.mu.Unlock()
	p.wake()
}

func (p *pod) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// tickPeriod is how often a pod is looked at when nothing wakes it.
const tickPeriod = 100 * time.Millisecond

func (p *pod) run() {
	tick := time.NewTicker(tickPeriod)
	defer tick.Stop()
	for {
		select {
		case <-p.end:
			return
		case <-tick.C:
		case <-p.kick:
		}
		p.mu.Lock()
		var done bool
		if p.obj.DeletionTimestamp != nil {
			done = p.terminate()
		} else {
			for _, c := range p.containers {
				c.sync()
			}
		}
		status, o := p.status(), p.obj
		p.mu.Unlock()
		p.report(o, status)
		if done && p.remove(o) {
			return
		}
	}
}

// remove takes the pod out of the API, as a kubelet does last.
func (p *pod) remove(o *v1.Pod) bool {
	now := int64(0)
	err := p.k.kube.CoreV1().Pods(o.Namespace).Delete(context.Background(), o.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &o.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		log.Printf("delete pod %s/%s: %v", o.Namespace, o.Name, err)
		return false
	}
	return true
}

// destroy kills what is left and removes the pod's files.
func (p *pod) destroy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	close(p.end)
	for _, c := range p.containers {
		c.signal(syscall.SIGKILL)
	}
	_ = os.RemoveAll(p.root)
}

func (p *pod) event(kind, reason, format string, args ...any) {
	p.k.events.Eventf(p.obj, kind, reason, format, args...)
}
