//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

// firstNode is the node that serves Services and metrics for all.
const firstNode = "node-1"

// kubelet simulates one node: its pods are local processes.
type kubelet struct {
	kube    *kubernetes.Clientset
	events  record.EventRecorder
	images  catalogue
	dir     string
	node    string        // its name: node-N
	number  int           // its N
	server  string        // https://host:port of the API server
	bind    bool          // bind unscheduled pods to this node
	backoff time.Duration // first back-off of a crashing container
	root    bool          // may chroot and switch users
	port    int           // of the kubelet's own HTTPS API
	hosts   *hosts
	start   chan func() // runs on the one thread that starts processes

	mu     sync.Mutex
	pods   map[types.UID]*pod
	nextIP int
}

func runKubelet(args []string) error {
	fs := flag.NewFlagSet("kubelet-sim", flag.ContinueOnError)
	k := &kubelet{pods: map[types.UID]*pod{}, root: os.Geteuid() == 0, start: make(chan func())}
	fs.StringVar(&k.dir, "dir", "", "state directory")
	fs.StringVar(&k.images.path, "images", "", "image catalogue")
	fs.StringVar(&k.server, "server", "", "API server")
	fs.BoolVar(&k.bind, "bind", false, "bind pods without a scheduler")
	fs.DurationVar(&k.backoff, "crash-backoff", time.Second, "first back-off of a crashing container")
	fs.IntVar(&k.number, "node", 1, "number of the node")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if k.number < 1 || k.number > maxNodes {
		return fmt.Errorf("--node %d: want 1 to %d", k.number, maxNodes)
	}
	k.node = fmt.Sprintf("node-%d", k.number)
	cfg, err := clientConfig(filepath.Join(k.dir, "kubelet.kubeconfig"))
	if err != nil {
		return err
	}
	if k.server == "" {
		k.server = cfg.Host
	}
	if k.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		// Children get Pdeathsig, which follows the thread that started them.
		runtime.LockOSThread()
		for f := range k.start {
			f()
		}
	}()
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&typedv1.EventSinkImpl{Interface: k.kube.CoreV1().Events("")})
	k.events = b.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet", Host: k.node})
	if err := k.serveAPI(); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(k.kube, 0)
	if _, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.upsert(o.(*v1.Pod)) },
		UpdateFunc: func(_, o any) { k.upsert(o.(*v1.Pod)) },
		DeleteFunc: func(o any) {
			if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = d.Obj
			}
			if p, ok := o.(*v1.Pod); ok {
				k.forget(p)
			}
		},
	}); err != nil {
		return err
	}
	k.hosts = newHosts()
	if err := startProxy(ctx, factory, k.hosts, k.first()); err != nil {
		return err
	}
	volumes, err := k.watchVolumes(factory)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go volumes(ctx)
	go k.sampleAll(ctx)
	if k.first() {
		go k.makeRoom(ctx, factory.Core().V1().Pods().Lister())
		if err := k.serveMetrics(ctx); err != nil {
			return err
		}
	}
	k.heartbeats(ctx)
	k.killAll()
	return nil
}

// Each node has a range of its own within 10.244.0.0/16.
const (
	maxNodes    = 5
	netsPerNode = 50
)

// first reports whether this node does what is done once per cluster.
func (k *kubelet) first() bool { return k.node == firstNode }

// local maps an address of the API (10.a.b.c) to the loopback address that
// serves it (127.a.b.c): the API server refuses loopback addresses in endpoints.
func local(ip string) string {
	_, rest, _ := strings.Cut(ip, ".")
	return "127." + rest
}

func (k *kubelet) upsert(o *v1.Pod) {
	switch {
	case o.Spec.NodeName == "" && k.bind && o.DeletionTimestamp == nil:
		go func() {
			// A pod that was bound or deleted meanwhile refuses; that is fine.
			_ = k.kube.CoreV1().Pods(o.Namespace).Bind(context.Background(),
				&v1.Binding{ObjectMeta: metav1.ObjectMeta{Name: o.Name, UID: o.UID},
					Target: v1.ObjectReference{Kind: "Node", Name: k.node}}, metav1.CreateOptions{})
		}()
		return
	case o.Spec.NodeName != k.node:
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pods[o.UID]
	if p == nil {
		done := o.Status.Phase == v1.PodSucceeded || o.Status.Phase == v1.PodFailed
		if done && o.DeletionTimestamp == nil {
			return
		}
		k.nextIP++
		p = newPod(k, o, fmt.Sprintf("10.244.%d.%d", (k.number-1)*netsPerNode+k.nextIP/250, k.nextIP%250+1))
		k.pods[o.UID] = p
		go p.run()
	}
	p.update(o)
}

func (k *kubelet) forget(o *v1.Pod) {
	k.mu.Lock()
	p := k.pods[o.UID]
	delete(k.pods, o.UID)
	k.mu.Unlock()
	if p != nil {
		p.destroy()
	}
}

func (k *kubelet) all() []*pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	ps := make([]*pod, 0, len(k.pods))
	for _, p := range k.pods {
		ps = append(ps, p)
	}
	return ps
}

func (k *kubelet) killAll() {
	for _, p := range k.all() {
		p.destroy()
	}
	log.Print("every pod is stopped")
}
