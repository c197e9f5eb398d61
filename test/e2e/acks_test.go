//go:build integration

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"watchdog.io/watchdog/internal/demo"
)

var incidentsResource = schema.GroupVersionResource{Group: "watchdog.io", Version: "v1alpha1", Resource: "incidents"}

// TestTwoWhoAcknowledgeAtOnce: with watchdog down, a hundred times two people acknowledge
// the same incident at the same moment. Each time one has it, and the other is told who;
// of the writes that the API server saw, one was accepted.
func TestTwoWhoAcknowledgeAtOnce(t *testing.T) {
	s := stage(t, "acks")
	installText(t, s, config(t, s, "agents"))
	// A leader creates the ledger. Without one, watchdog has never started there, as far as the CLI can tell.
	eventually(t, time.Minute, "watchdog has started", func(ctx context.Context) (string, bool) {
		out, err := s.Run(ctx, "", "kubectl", "-n", s.Watchdog, "get", "ledgers", "-o", "name")
		return out, err == nil && strings.Contains(out, "ledger")
	})
	if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"scale", "deployment", "watchdog", "--replicas=0"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := s.Run(within(t, time.Minute), "", "kubectl", "-n", s.Watchdog,
		"wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=watchdog", "--timeout=60s"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names := [2]string{"alice", "bob"}
	var files [2]string
	for k, name := range names {
		files[k] = accountOf(t, s, name)
	}
	const rounds = 100
	for n := range rounds {
		id := fmt.Sprintf("01acks%03d", n)
		openIncident(t, s, id)
		var out [2]string
		var errs [2]error
		var start, all sync.WaitGroup
		start.Add(1)
		for k := range names {
			all.Go(func() {
				start.Wait()
				out[k], errs[k] = s.Testbed.Watchdog(t.Context(), "ack", id, "-n", s.Watchdog, "--kubeconfig", files[k])
			})
		}
		start.Done()
		all.Wait()
		has := 0
		if errs[0] != nil {
			has = 1
		}
		by := "system:serviceaccount:" + s.Namespace + ":" + names[has]
		if errs[has] != nil || !strings.Contains(out[has], "yours") || errs[1-has] == nil ||
			!strings.Contains(out[1-has], "was acknowledged by "+by) {
			t.Fatalf("%s: %s: %q %v, %s: %q %v", id, names[0], out[0], errs[0], names[1], out[1], errs[1])
		}
		o, err := s.Testbed.Dynamic.Resource(incidentsResource).Namespace(s.Watchdog).Get(t.Context(), id,
			metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := unstructured.NestedString(o.Object, "spec", "acknowledged", "by"); got != by {
			t.Fatalf("%s: it is %q's, and %q was told that it is theirs", id, got, by)
		}
	}
	accepted, lost := patches(t, s)
	for n := range rounds {
		if id := fmt.Sprintf("01acks%03d", n); accepted[id] != 1 {
			t.Errorf("%s: the API server accepted %d writes", id, accepted[id])
		}
	}
	t.Logf("%d rounds, in %d of them both wrote, and the API server refused the second", rounds, lost)
}

// accountOf is the kubeconfig of somebody who may acknowledge, and no more.
func accountOf(t *testing.T, s *demo.Scene, name string) string {
	t.Helper()
	accounts := s.Testbed.Kube.CoreV1().ServiceAccounts(s.Namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}},
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"watchdog-cli", "watchdog-reader"} {
		if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog, "create", "rolebinding", name+"-"+role,
			"--role="+role, "--serviceaccount="+s.Namespace+":"+name); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	token, err := accounts.CreateToken(t.Context(), name, &authentication.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["x"] = &clientcmdapi.Cluster{Server: s.Testbed.Config.Host,
		CertificateAuthority: s.Testbed.Config.CAFile, CertificateAuthorityData: s.Testbed.Config.CAData}
	c.AuthInfos["x"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	c.Contexts["x"] = &clientcmdapi.Context{Cluster: "x", AuthInfo: "x"}
	c.CurrentContext = "x"
	file := filepath.Join(t.TempDir(), name)
	if err := clientcmd.WriteToFile(*c, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// openIncident stores an incident as watchdog does: the object, then its status.
func openIncident(t *testing.T, s *demo.Scene, id string) {
	t.Helper()
	at := time.Now().UTC().Format(time.RFC3339)
	target := map[string]any{"name": "agents", "namespace": s.Namespace, "kind": "deployment",
		"workload": "agent-system"}
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "watchdog.io/v1alpha1", "kind": "Incident", "metadata": map[string]any{"name": id},
		"spec": map[string]any{"target": target, "openedAt": at},
	}}
	incidents := s.Testbed.Dynamic.Resource(incidentsResource).Namespace(s.Watchdog)
	made, err := incidents.Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Object["status"] = map[string]any{"id": id, "target": target, "phase": "escalated", "severity": "P1",
		"lead": "errors", "openedAt": at, "updatedAt": at, "format": int64(1), "revision": int64(1)}
	if _, err := incidents.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// patches are the writes of alice and bob that the API server accepted, by incident, and
// how many it refused because the incident had changed.
func patches(t *testing.T, s *demo.Scene) (accepted map[string]int, lost int) {
	t.Helper()
	f, err := os.Open(filepath.Join(tb.Dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	accepted = map[string]int{}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return accepted, lost // a line without an end is still being written
		}
		var r request
		if json.Unmarshal(line, &r) != nil || r.Stage != "ResponseComplete" || r.Verb != "patch" ||
			r.ObjectRef.Resource != "incidents" ||
			r.ObjectRef.Namespace != s.Watchdog || !strings.HasPrefix(r.User.Username,
			"system:serviceaccount:"+s.Namespace+":") {
			continue
		}
		switch {
		case r.ResponseStatus.Code < 300:
			accepted[r.ObjectRef.Name]++
		case r.ResponseStatus.Code == 409:
			lost++
		}
	}
}
