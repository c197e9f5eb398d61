//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestVariablesExpandAsKubernetesExpandsThem(t *testing.T) {
	vars := map[string]string{"A": "1", "B": "two"}
	for in, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "x$(A)y$(B)z": "x1ytwoz", "$(NONE)": "$(NONE)",
		"$$(A)": "$(A)", "$A": "$A", "100$": "100$", "$(A": "$(A", "$$": "$",
	} {
		if got := expand(in, vars); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPathsBelowAMountAreRelocatedOnce(t *testing.T) {
	mounts := []v1.VolumeMount{{MountPath: "/etc/watchdog"}, {MountPath: "/etc/watchdog/secrets/"}, {MountPath: "/tmp"}}
	for in, want := range map[string]string{
		"/etc/watchdog":            "/tmp/r/etc/watchdog",
		"--c=/etc/watchdog/x.yaml": "--c=/tmp/r/etc/watchdog/x.yaml",
		"/etc/watchdogs":           "/etc/watchdogs",
		"/tmp/r/etc/watchdog/x":    "/tmp/r/etc/watchdog/x",
		"/tmp/y":                   "/tmp/r/tmp/y",
		"name=/tmp/y":              "name=/tmp/y",
		"word":                     "word",
	} {
		if got := relocate(in, "/tmp/r", mounts); got != want {
			t.Errorf("relocate(%q) = %q, want %q", in, got, want)
		}
	}
}

func service(name, namespace, ip string) *v1.Service {
	return &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1.ServiceSpec{ClusterIP: ip}}
}

func TestHostsNameServicesAsClusterDNSDoes(t *testing.T) {
	services := []*v1.Service{service("web", "shop", "10.96.1.2"), service("db", "other", "10.96.1.3"),
		service("headless", "shop", "None"), service("external", "shop", "")}
	want := "127.0.0.1 localhost\n" +
		"127.96.1.2 web web.shop web.shop.svc web.shop.svc.cluster.local\n" +
		"127.96.1.3 db.other db.other.svc db.other.svc.cluster.local\n"
	if got := hostsText(services, "shop"); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestHostsFilesAreKeptFreshUntilTheirPodIsGone(t *testing.T) {
	h, dir := newHosts(), t.TempDir()
	gone := filepath.Join(dir, "gone")
	if err := os.Mkdir(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	kept, lost := filepath.Join(dir, "hosts"), filepath.Join(gone, "hosts")
	if err := errors.Join(h.add(kept, "shop"), h.add(lost, "shop"), os.RemoveAll(gone)); err != nil {
		t.Fatal(err)
	}
	services := []*v1.Service{service("web", "shop", "10.96.1.2")}
	h.set(services)
	if b, _ := os.ReadFile(kept); string(b) != hostsText(services, "shop") {
		t.Errorf("hosts file = %q", b)
	}
	if _, ok := h.files[lost]; ok {
		t.Error("the file of a pod that is gone is still written")
	}
}

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb\nc", 2, "b\nc"}, {"a\n", 5, "a\n"}, {"a\n", 0, ""}, {"", 3, ""}} {
		if got := string(lastLines([]byte(c.in), c.n)); got != c.want {
			t.Errorf("lastLines(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func TestAVolumeChangesAllAtOnceThroughOneSymlink(t *testing.T) {
	at, a := t.TempDir(), access{mode: 0o440, group: -1}
	data := func() string { l, _ := os.Readlink(filepath.Join(at, "..data")); return l }
	lay := func(files map[string][]byte) {
		t.Helper()
		if err := project(at, files, a); err != nil {
			t.Fatal(err)
		}
	}
	lay(map[string][]byte{"a": []byte("1"), "gone": []byte("x"), "dir/b": []byte("2")})
	first := data()
	lay(map[string][]byte{"a": []byte("1"), "gone": []byte("x"), "dir/b": []byte("2")})
	if data() != first {
		t.Error("a volume that did not change was laid anew")
	}
	lay(map[string][]byte{"a": []byte("9"), "dir/b": []byte("2"), "new": nil})
	if data() == first || exists(filepath.Join(at, first)) {
		t.Errorf("..data = %s after %s, which must be gone", data(), first)
	}
	for name, want := range map[string]string{"a": "9", "dir/b": "2", "new": ""} {
		if got, err := os.ReadFile(filepath.Join(at, name)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(at, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("link of a removed key: %v", err)
	}
	if i, err := os.Stat(filepath.Join(at, "a")); err != nil || i.Mode() != 0o440 {
		t.Errorf("mode of a: %v, %v", i, err)
	}
}

func TestAMistypedCatalogueIsAnError(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a": {"exec": ["bin/a"], "readyIn": "never", "sleep": "1.5s"}}`: true,
		`{"a": {"sleep": "1.5"}}`: false,
		`{"a": {"slep": "1.5s"}}`: false,
		`{"b": {"exec": ["b"]}}`:  false,
		`{"a": {"exec": ["b"]}`:   false,
	} {
		path := filepath.Join(t.TempDir(), "images.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		im, err := catalogue{path}.lookup("a")
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
		if ok && (im.Exec[0] != filepath.Join(filepath.Dir(path), "bin/a") || im.ReadyIn.over(time.Hour) ||
			!im.Sleep.over(2*time.Second)) {
			t.Errorf("%s: %+v", text, im)
		}
	}
}

func TestWhatIsNotSimulatedFailsLoudly(t *testing.T) {
	get := func() *v1.HTTPGetAction { return &v1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(80)} }
	seconds, yes := int64(1), true
	for name, change := range map[string]func(*v1.PodSpec){
		"init container":   func(s *v1.PodSpec) { s.InitContainers = s.Containers },
		"host network":     func(s *v1.PodSpec) { s.HostNetwork = true },
		"shared processes": func(s *v1.PodSpec) { s.ShareProcessNamespace = &yes },
		"pod deadline":     func(s *v1.PodSpec) { s.ActiveDeadlineSeconds = &seconds },
		"readiness gate":   func(s *v1.PodSpec) { s.ReadinessGates = []v1.PodReadinessGate{{}} },
		"host alias":       func(s *v1.PodSpec) { s.HostAliases = []v1.HostAlias{{}} },
		"lifecycle":        func(s *v1.PodSpec) { s.Containers[0].Lifecycle = &v1.Lifecycle{} },
		"exec before stop": func(s *v1.PodSpec) {
			s.Containers[0].Lifecycle = &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Exec: &v1.ExecAction{}}}
		},
		"hook after start": func(s *v1.PodSpec) {
			s.Containers[0].Lifecycle = &v1.Lifecycle{PostStart: &v1.LifecycleHandler{Sleep: &v1.SleepAction{Seconds: 1}}}
		},
		"startup probe": func(s *v1.PodSpec) { s.Containers[0].StartupProbe = &v1.Probe{} },
		"exec probe":    func(s *v1.PodSpec) { s.Containers[0].LivenessProbe.Exec = &v1.ExecAction{} },
		"gRPC probe":    func(s *v1.PodSpec) { s.Containers[0].ReadinessProbe.GRPC = &v1.GRPCAction{} },
		"HTTPS probe":   func(s *v1.PodSpec) { s.Containers[0].ReadinessProbe.HTTPGet.Scheme = v1.URISchemeHTTPS },
		"probe host": func(s *v1.PodSpec) {
			s.Containers[0].LivenessProbe.HTTPGet.HTTPHeaders = []v1.HTTPHeader{{Name: "Host", Value: "x"}}
		},
		"host port": func(s *v1.PodSpec) { s.Containers[0].Ports = []v1.ContainerPort{{HostPort: 1}} },
		"host path": func(s *v1.PodSpec) { s.Volumes[0].VolumeSource = v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{}} },
		"mounted claim": func(s *v1.PodSpec) {
			s.Volumes[0].VolumeSource = v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{}}
		},
		"shared emptyDir":    func(s *v1.PodSpec) { s.Containers = append(s.Containers, s.Containers[0]) },
		"emptyDir sub-path":  func(s *v1.PodSpec) { s.Containers[0].VolumeMounts[0].SubPath = "x" },
		"sub-path expansion": func(s *v1.PodSpec) { s.Containers[0].VolumeMounts[0].SubPathExpr = "$(X)" },
	} {
		p := &v1.Pod{Spec: v1.PodSpec{
			Containers: []v1.Container{{Name: "c", VolumeMounts: []v1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
				ReadinessProbe: &v1.Probe{ProbeHandler: v1.ProbeHandler{HTTPGet: get()}},
				LivenessProbe:  &v1.Probe{ProbeHandler: v1.ProbeHandler{HTTPGet: get()}}}},
			Volumes: []v1.Volume{{Name: "tmp", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}},
		}}
		if why := unsupported(p); why != "" {
			t.Fatalf("a plain pod is refused: %s", why)
		}
		change(&p.Spec)
		if unsupported(p) == "" {
			t.Errorf("%s passes silently", name)
		}
	}
}

func TestTheContainersUserCountsMoreThanThePods(t *testing.T) {
	zero, app, group, yes := int64(0), int64(65532), int64(7), true
	c := &container{p: &pod{obj: &v1.Pod{Spec: v1.PodSpec{SecurityContext: &v1.PodSecurityContext{RunAsUser: &zero,
		RunAsNonRoot: &yes, FSGroup: &group}}}}, spec: &v1.Container{}}
	if _, err := c.credential(); err == nil {
		t.Error("runAsNonRoot starts as root")
	}
	c.spec.SecurityContext = &v1.SecurityContext{RunAsUser: &app}
	cred, err := c.credential()
	if err != nil || cred.Uid != 65532 || cred.Gid != 0 || len(cred.Groups) != 1 || cred.Groups[0] != 7 {
		t.Errorf("credential = %+v, %v", cred, err)
	}
}
