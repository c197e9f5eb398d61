//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// stepTimeout bounds each step of starting: under load all of it is slow.
const stepTimeout = 2 * time.Minute

// auditPolicy leaves the body of every write by a ServiceAccount outside
// kube-system, which is what tests ask about, and one line of everything else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: ["system:masters"]}
- {level: None, users: ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"]}
- {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: RequestResponse, userGroups: ["system:serviceaccounts"], verbs: [create, update, patch, delete, deletecollection]}
- {level: Metadata}
`

func up(args []string) error {
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	dir := fs.String("dir", "", "state directory: keys, kubeconfigs, logs, audit.log (default: a temporary one)")
	port := fs.Int("port", 0, "port of the API server (default: any)")
	images := fs.String("images", "", "image catalogue, a JSON file")
	lean := fs.Bool("lean", false, "no scheduler: the kubelet simulator binds pods itself")
	slow := fs.Bool("slow", false, "Kubernetes' own periods for HPA and node heartbeats, instead of short ones")
	backoff := fs.Duration("crash-backoff", time.Second, "first back-off of a crashing container (a real kubelet: 10s)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *images == "" {
		return errors.New("no image catalogue: name one with --images")
	}
	if _, err := os.Stat(*images); err != nil {
		return fmt.Errorf("image catalogue: %w", err)
	}
	// Programs are named relative to the catalogue, and start in another folder.
	catalogue, err := filepath.Abs(*images)
	if err != nil {
		return err
	}
	c, err := prepare(*dir, *port)
	if err != nil {
		return err
	}
	defer c.stop()
	if os.Geteuid() != 0 {
		c.say("not root: pods are not chrooted and run as you")
	}
	if err := c.startAll(ctx, catalogue, *lean, *slow, *backoff); err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before it was ready")
		}
		return err
	}
	if err := os.WriteFile(c.path("ready"), []byte(c.server), 0o644); err != nil {
		return err
	}
	fmt.Println("KUBECONFIG=" + c.path("admin.kubeconfig"))
	select {
	case <-ctx.Done():
		return nil
	case name := <-c.dead:
		return c.died(name)
	}
}

// plane is one control plane.
type plane struct {
	family
	dir    string
	server string
	start0 time.Time
}

func (c *plane) path(name string) string { return filepath.Join(c.dir, name) }

func (c *plane) say(format string, args ...any) {
	fmt.Printf("%6.1fs %s\n", time.Since(c.start0).Seconds(), fmt.Sprintf(format, args...))
}

// prepare writes everything that the components read.
func prepare(dir string, port int) (*plane, error) {
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "testbed-"); err != nil {
			return nil, err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "etcd")); err == nil {
		// Its keys would be replaced and its pods' processes are gone: it cannot go on.
		return nil, fmt.Errorf("%s holds the state of an earlier testbed: give an empty folder", dir)
	}
	if port == 0 {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	c := &plane{family: newFamily(dir), dir: dir, server: fmt.Sprintf("https://127.0.0.1:%d", port), start0: time.Now()}
	errs := []error{
		writePKI(dir),
		os.WriteFile(c.path("tokens.csv"), []byte("admin-token,static-admin,static-admin,\"system:masters\"\n"), 0o600),
		os.WriteFile(c.path("audit.yaml"), []byte(auditPolicy), 0o600),
	}
	for _, n := range []string{"admin", "kcm", "scheduler", "kubelet"} {
		errs = append(errs, writeKubeconfig(dir, n, c.server))
	}
	return c, errors.Join(errs...)
}

// startAll brings the components up in order and waits until the cluster is usable.
func (c *plane) startAll(ctx context.Context, images string, lean, slow bool, backoff time.Duration) error {
	etcdClient, err1 := freePort()
	etcdPeer, err2 := freePort()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	etcd := fmt.Sprintf("http://127.0.0.1:%d", etcdClient)
	if err := errors.Join(
		c.launch("etcd", "--data-dir", c.path("etcd"), "--client", etcd,
			"--peer", fmt.Sprintf("http://127.0.0.1:%d", etcdPeer)),
		c.launch("kube-apiserver", c.apiserverFlags(etcd)...)); err != nil {
		return err
	}
	cfg, err := clientConfig(c.path("admin.kubeconfig"))
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	if err := c.await(ctx, "the API server",
		func(ctx context.Context) bool { return apiReady(ctx, kube) }); err != nil {
		return err
	}
	c.say("API server ready")
	errs := []error{c.launch("kube-controller-manager", c.controllerFlags(slow)...)}
	if !lean {
		f := c.path("scheduler.kubeconfig")
		errs = append(errs, c.launch("kube-scheduler", "--kubeconfig="+f, "--authentication-kubeconfig="+f,
			"--authorization-kubeconfig="+f, "--secure-port=0", "--leader-elect=false"))
	}
	errs = append(errs, c.launch("kubelet-sim", "--dir="+c.dir, "--images="+images, "--server="+c.server,
		fmt.Sprintf("--bind=%v", lean), "--crash-backoff="+backoff.String()))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := c.await(ctx, "the controllers (ServiceAccount default/default)", func(ctx context.Context) bool {
		_, err := kube.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	}); err != nil {
		return err
	}
	c.say("controllers run")
	if err := c.await(ctx, "the node", func(ctx context.Context) bool { return nodeReady(ctx, kube) }); err != nil {
		return err
	}
	c.say("node ready")
	return nil
}

// await polls until ok, a component dies, or time is up. Polling is right here:
// what it waits for is the very thing that would answer a watch.
func (c *plane) await(ctx context.Context, what string, ok func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok(ctx) {
			return nil
		}
		select {
		case name := <-c.dead:
			return c.died(name)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w; the logs are in %s", what, ctx.Err(), c.dir)
		case <-tick.C:
		}
	}
}

func apiReady(ctx context.Context, kube kubernetes.Interface) bool {
	status := 0
	kube.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status)
	return status == http.StatusOK
}

func nodeReady(ctx context.Context, kube kubernetes.Interface) bool {
	n, err := kube.CoreV1().Nodes().Get(ctx, firstNode, metav1.GetOptions{})
	if err != nil || len(n.Spec.Taints) > 0 {
		return false
	}
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

func (c *plane) apiserverFlags(etcd string) []string {
	return []string{
		"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" +
			c.server[strings.LastIndexByte(c.server, ':')+1:],
		"--endpoint-reconciler-type=none", "--cert-dir=" + c.path("apiserver-certs"), "--tls-cert-file=" +
			c.path("apiserver.crt"), "--tls-private-key-file=" + c.path("apiserver.key"),
		"--client-ca-file=" + c.path("ca.crt"), "--token-auth-file=" + c.path("tokens.csv"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + c.path("sa.pub"),
		"--service-account-signing-key-file=" + c.path("sa.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--service-node-port-range=30000-32767",
		"--kubelet-client-certificate=" + c.path("apiserver-kubelet.crt"), "--kubelet-client-key=" +
			c.path("apiserver-kubelet.key"),
		"--kubelet-certificate-authority=" + c.path("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--audit-policy-file=" + c.path("audit.yaml"), "--audit-log-path=" + c.path("audit.log"),
		"--audit-log-mode=blocking",
		"--allow-privileged=true", "--profiling=false",
	}
}

func (c *plane) controllerFlags(slow bool) []string {
	f := []string{
		"--kubeconfig=" + c.path("kcm.kubeconfig"), "--secure-port=0", "--leader-elect=false",
		"--service-account-private-key-file=" + c.path("sa.key"), "--root-ca-file=" + c.path("ca.crt"),
		"--use-service-account-credentials=true",
		"--controllers=*,-persistentvolume-binder-controller,-persistentvolume-attach-detach-controller," +
			"-persistentvolume-expander-controller,-ephemeral-volume-controller,-node-ipam-controller",
		"--profiling=false",
	}
	if slow {
		return f
	}
	return append(f, "--horizontal-pod-autoscaler-sync-period=2s",
		"--horizontal-pod-autoscaler-downscale-stabilization=10s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=1s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=1s",
		"--node-monitor-period=1s", "--node-monitor-grace-period=10s")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// clientConfig reads a kubeconfig and takes off the client's brake.
func clientConfig(path string) (*rest.Config, error) {
	cfg, err := restConfig(path)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	cfg.QPS, cfg.Burst = 500, 1000
	return cfg, nil
}
