package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Testbed is a running control plane.
type Testbed struct {
	Dir        string // state, logs, audit.log
	Bin        string // where the built programs are
	Kubeconfig string
	Config     *rest.Config
	Kube       *kubernetes.Clientset
	Dynamic    dynamic.Interface

	cmd  *exec.Cmd
	done chan error
}

// upTimeout is generous: under load the API server alone has taken ten seconds.
const upTimeout = 3 * time.Minute

// Up starts a control plane in dir, with the programs of root/bin as images.
// Progress lines go to progress.
func Up(ctx context.Context, root, dir string, progress io.Writer) (*Testbed, error) {
	t := &Testbed{Dir: dir, Bin: filepath.Join(root, "bin"), Kubeconfig: filepath.Join(dir, "admin.kubeconfig"),
		done: make(chan error, 1)}
	for _, p := range []string{"testbed", "watchdog", "agent-system"} {
		if _, err := os.Stat(filepath.Join(t.Bin, p)); err != nil {
			return nil, fmt.Errorf("bin/%s is not built: run `make bin/%s` in %s", p, p, root)
		}
	}
	images := filepath.Join(dir, "images.json")
	if err := writeCatalogue(images, t.Bin); err != nil {
		return nil, err
	}
	t.cmd = exec.Command(filepath.Join(t.Bin, "testbed"), "up", "--dir", dir, "--images", images)
	// Its own process group: a Ctrl-C at the terminal reaches this program, which then stops the testbed in order.
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.cmd.Stderr = t.cmd.Stdout
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start testbed: %w", err)
	}
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		up := false
		for lines.Scan() {
			fmt.Fprintln(progress, "  "+lines.Text())
			if strings.HasPrefix(lines.Text(), "KUBECONFIG=") && !up {
				up = true
				close(ready)
			}
		}
		t.done <- t.cmd.Wait()
	}()
	select {
	case <-ready:
	case err := <-t.done:
		return nil, fmt.Errorf("testbed ended before it was ready: %w; its logs are in %s", err, dir)
	case <-ctx.Done():
		t.Down()
		return nil, ctx.Err()
	case <-time.After(upTimeout):
		t.Down()
		return nil, fmt.Errorf("testbed not ready after %s; its logs are in %s", upTimeout, dir)
	}
	return t, t.connect()
}

func (t *Testbed) connect() (err error) {
	if t.Config, err = clientcmd.BuildConfigFromFlags("", t.Kubeconfig); err != nil {
		return err
	}
	t.Config.QPS, t.Config.Burst = 200, 400
	if t.Kube, err = kubernetes.NewForConfig(t.Config); err != nil {
		return err
	}
	t.Dynamic, err = dynamic.NewForConfig(t.Config)
	return err
}

// Down stops the control plane and every pod.
func (t *Testbed) Down() {
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.done:
	case <-time.After(15 * time.Second):
		_ = syscall.Kill(-t.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// Run executes a sub-command of the testbed binary (kubectl, helm) against it.
func (t *Testbed) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	return t.exec(ctx, stdin, filepath.Join(t.Bin, "testbed"), args...)
}

// Watchdog executes the watchdog command against the testbed.
func (t *Testbed) Watchdog(ctx context.Context, args ...string) (string, error) {
	return t.exec(ctx, "", filepath.Join(t.Bin, "watchdog"), args...)
}

func (t *Testbed) exec(ctx context.Context, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+t.Kubeconfig, "HELM_CACHE_HOME="+filepath.Join(t.Dir, "helm"),
		"HELM_CONFIG_HOME="+filepath.Join(t.Dir, "helm"), "HELM_DATA_HOME="+filepath.Join(t.Dir, "helm"))
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err,
			strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// image is one entry of the testbed's catalogue.
type image struct {
	Exec   []string          `json:"exec,omitempty"`
	Env    map[string]string `json:"env,omitempty"`
	Chroot bool              `json:"chroot,omitempty"`
	Sleep  string            `json:"sleep,omitempty"`
	Exit   *int              `json:"exit,omitempty"`
}

// writeCatalogue "pushes" the releases of the example application, and watchdog.
func writeCatalogue(path, bin string) error {
	app := func(version string, env ...string) image {
		m := map[string]string{"VERSION": version, "SLA_WINDOW": "5s"}
		for i := 0; i+1 < len(env); i += 2 {
			m[env[i]] = env[i+1]
		}
		return image{Exec: []string{filepath.Join(bin, "agent-system")}, Env: m}
	}
	b, err := json.MarshalIndent(map[string]image{
		"agent-system:v2.1.5": app("2.1.5"),
		"agent-system:v2.2.0": app("2.2.0", "FAULT", "errors", "ERROR_RATE", "30"),
		"agent-system:v2.2.1": app("2.2.1", "FAULT", "crash"),
		"agent-system:v2.2.2": app("2.2.2", "FAULT", "slow"),
		"agent-system:v2.2.3": app("2.2.3", "FAULT", "never-ready"),
		"agent-system:v2.2.4": app("2.2.4", "FAULT", "leak"),
		"tools:v1":            {Sleep: "500ms", Exit: new(int)},
		"watchdog:dev":        {Exec: []string{filepath.Join(bin, "watchdog")}, Chroot: true},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
