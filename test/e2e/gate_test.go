//go:build integration

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/kube"
)

// gate stands inside the API server, as a validating admission webhook, and is
// asked about every write to the scene's deployment by watchdog. It is how a
// test acts at the one moment between "sent" and "answered".
type gate struct {
	mu    sync.Mutex
	asked int
	on    func(n int) (allow bool) // n counts from 1
}

var deployments = admission.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"},
	Resources: []string{"deployments"}}

// putGate puts the gate before the scene's deployment.
func putGate(t *testing.T, s *demo.Scene, on func(n int) bool) *gate {
	t.Helper()
	return putGateBefore(t, s, deployments, on)
}

// putGateBefore puts the gate before objects of the scene's namespace.
func putGateBefore(t *testing.T, s *demo.Scene, what admission.Rule, on func(n int) bool) *gate {
	t.Helper()
	g := &gate{on: on}
	cert, pemCert := selfSigned(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: g, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	url := "https://" + l.Addr().String() + "/"
	fail, none, timeout := admission.Fail, admission.SideEffectClassNone, int32(20)
	name := "gate-" + s.Name
	hook := &admission.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admission.ValidatingWebhook{{
			Name: "gate.watchdog.test", ClientConfig: admission.WebhookClientConfig{URL: &url, CABundle: pemCert},
			Rules: []admission.RuleWithOperations{{Operations: []admission.OperationType{admission.Update,
				admission.Create}, Rule: what}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.Namespace}},
			MatchConditions: []admission.MatchCondition{{Name: "watchdog",
				Expression: "request.userInfo.username == 'system:serviceaccount:" + s.Watchdog + ":watchdog'"}},
			FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: &timeout,
		}}}
	hooks := tb.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := hooks.Create(t.Context(), hook, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hooks.Delete(contextForCleanup(), name, metav1.DeleteOptions{}) })
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err != nil || json.Unmarshal(body, &review) != nil {
		http.Error(w, "not a review", http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.asked++
	n := g.asked
	g.mu.Unlock()
	allow := g.on(n)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"response": map[string]any{"uid": review.Request.UID, "allowed": allow,
			"status": map[string]any{"code": 403, "message": "the gate is shut"}}})
}

func (g *gate) times() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

func selfSigned(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gate"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der},
		PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// kill9 sends SIGKILL to the process of a watchdog pod, as the kernel would.
func kill9(t *testing.T, s *demo.Scene, pod string) {
	t.Helper()
	signal(t, s, pod, syscall.SIGKILL)
}

func signal(t *testing.T, s *demo.Scene, pod string, sig syscall.Signal) {
	t.Helper()
	pid := pidOf(s, pod)
	if pid == 0 {
		t.Errorf("no process of pod %s found", pod)
		return
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Error(err)
	}
}

// killUnanswered puts a gate that stops the leader's process while its first
// write is on its way into the store. The write lands, nobody reads the reply,
// and the function it returns kills the process once the audit log has the
// write. (Killed in the gate itself, the API server would drop the request with
// its connection.)
func killUnanswered(t *testing.T, s *demo.Scene, what admission.Rule) (g *gate, kill func()) {
	t.Helper()
	stopped := make(chan string, 1)
	g = putGateBefore(t, s, what, func(n int) bool {
		if n == 1 {
			pod := leader(t, s)
			signal(t, s, pod, syscall.SIGSTOP)
			stopped <- pod
		}
		return true
	})
	return g, func() {
		t.Helper()
		ctx := within(t, time.Minute)
		select {
		case pod := <-stopped:
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for len(effects(t, s)) == 0 && ctx.Err() == nil {
				<-tick.C
			}
			kill9(t, s, pod)
			if ctx.Err() != nil {
				t.Fatal("the write that the gate let through did not land")
			}
		case <-ctx.Done():
			t.Fatal("the gate was never asked")
		}
	}
}

// pidOf finds the process of a pod by the environment its kubelet gave it.
func pidOf(s *demo.Scene, pod string) int {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range all {
		env, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(env, []byte("POD_NAME="+pod+"\x00")) ||
			!bytes.Contains(env, []byte("POD_NAMESPACE="+s.Watchdog+"\x00")) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(f, "/")[2])
		return pid
	}
	return 0
}

// leader returns the pod that holds the scene's lease.
func leader(t *testing.T, s *demo.Scene) string {
	t.Helper()
	l, err := tb.Kube.CoordinationV1().Leases(s.Watchdog).Get(t.Context(), "watchdog", metav1.GetOptions{})
	if err != nil {
		t.Error(err)
		return ""
	}
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	name, _ := kube.Replica(*l.Spec.HolderIdentity)
	return name
}
