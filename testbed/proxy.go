//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// proxy serves Services from user space: ClusterIP 10.96.x.y on 127.96.x.y,
// NodePorts on 127.0.0.1, round robin over ready endpoints per connection.
type proxy struct {
	factory informers.SharedInformerFactory
	hosts   *hosts
	serves  bool // opens doors; else only keeps the hosts files
	open    map[string]*door
	mute    map[string]bool // addresses already complained about
}

// door is one listening address.
type door struct {
	l         net.Listener
	next      atomic.Uint64
	endpoints atomic.Pointer[[]string]
}

func startProxy(ctx context.Context, f informers.SharedInformerFactory, h *hosts, serves bool) error {
	p := &proxy{factory: f, hosts: h, serves: serves, open: map[string]*door{}, mute: map[string]bool{}}
	kick := make(chan struct{}, 1)
	wake := func() {
		select {
		case kick <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: func(any) { wake() }, UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() }}
	for _, i := range []cache.SharedIndexInformer{f.Core().V1().Services().Informer(),
		f.Discovery().V1().EndpointSlices().Informer()} {
		if _, err := i.AddEventHandler(handler); err != nil {
			return err
		}
	}
	go func() {
		// An address that was taken may be free a moment later.
		again := time.NewTicker(time.Second)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-kick:
			case <-again.C:
			}
			p.sync()
		}
	}()
	return nil
}

// sync opens and closes doors so that they are those of the Services.
func (p *proxy) sync() {
	services, err := p.factory.Core().V1().Services().Lister().List(labels.Everything())
	if err != nil {
		return
	}
	p.hosts.set(services)
	if !p.serves {
		return
	}
	want := map[string][]string{}
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == v1.ClusterIPNone ||
			s.Spec.Type == v1.ServiceTypeExternalName || len(s.Spec.Selector) == 0 {
			continue
		}
		for _, port := range s.Spec.Ports {
			if port.Protocol != "" && port.Protocol != v1.ProtocolTCP {
				continue
			}
			endpoints := p.endpoints(s, port)
			want[fmt.Sprintf("%s:%d", local(s.Spec.ClusterIP), port.Port)] = endpoints
			if port.NodePort != 0 {
				want[fmt.Sprintf("127.0.0.1:%d", port.NodePort)] = endpoints
			}
		}
	}
	for addr, d := range p.open {
		if _, ok := want[addr]; !ok {
			d.l.Close()
			delete(p.open, addr)
		}
	}
	for addr, endpoints := range want {
		p.serve(addr, endpoints)
	}
}

func (p *proxy) serve(addr string, endpoints []string) {
	d := p.open[addr]
	if d == nil {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			if !p.mute[addr] {
				log.Print("proxy: ", err, "; tried again")
				p.mute[addr] = true
			}
			return
		}
		delete(p.mute, addr)
		d = &door{l: l}
		p.open[addr] = d
		go d.accept()
	}
	d.endpoints.Store(&endpoints)
}

// endpoints lists where the ready pods behind a Service port listen.
func (p *proxy) endpoints(s *v1.Service, port v1.ServicePort) []string {
	slices, err := p.factory.Discovery().V1().EndpointSlices().Lister().EndpointSlices(s.Namespace).List(
		labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: s.Name}))
	if err != nil {
		return nil
	}
	var all []string
	for _, sl := range slices {
		for _, sp := range sl.Ports {
			if sp.Name == nil || *sp.Name != port.Name || sp.Port == nil {
				continue
			}
			for _, e := range sl.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready && len(e.Addresses) > 0 {
					all = append(all, fmt.Sprintf("%s:%d", local(e.Addresses[0]), *sp.Port))
				}
			}
		}
	}
	return all
}

// acceptPause keeps a door that cannot accept from spinning.
const acceptPause = 50 * time.Millisecond

func (d *door) accept() {
	for {
		c, err := d.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of files, say: the door stays, its Service still exists.
			time.Sleep(acceptPause)
			continue
		}
		go d.forward(c.(*net.TCPConn))
	}
}

// forward joins a connection to the next endpoint that answers. One without any
// is closed: a refused connection is what a Service without endpoints gives.
func (d *door) forward(c *net.TCPConn) {
	defer c.Close()
	endpoints := d.endpoints.Load()
	if endpoints == nil || len(*endpoints) == 0 {
		_ = c.SetLinger(0)
		return
	}
	for range *endpoints {
		up, err := net.DialTimeout("tcp", (*endpoints)[d.next.Add(1)%uint64(len(*endpoints))], time.Second)
		if err != nil {
			continue
		}
		server := up.(*net.TCPConn)
		defer server.Close()
		go func() {
			_, _ = io.Copy(server, c)
			_ = server.CloseWrite()
		}()
		_, _ = io.Copy(c, server)
		return
	}
	_ = c.SetLinger(0)
}
