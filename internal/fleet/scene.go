package fleet

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// Setup is what runs: the daemon, and the world around it.
type Setup struct {
	Watchdog string // the program
	Dir      string // for configuration, data and logs

	Targets             int
	Hang, Slow, Failing int
	Incidents           int
	Open                bool
	Throttle            float64
	MemoryLimit         int // MiB, handed to the daemon as the chart does; 0: none
	// Config replaces the usual configuration; port is that of the targets.
	Config func(port int) string
}

// scene is a setup that runs.
type scene struct {
	Setup
	api, targets, daemon *process
	port                 int
	kubeconfig           string
	web, metrics         string // addresses of the daemon
	started              time.Time
	client               *http.Client
}

// open starts the world, and not yet the daemon.
func open(ctx context.Context, s Setup) (*scene, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the stand-ins: %w", err)
	}
	for _, d := range []string{"config", "data"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	x := &scene{Setup: s, kubeconfig: filepath.Join(s.Dir, kubeconfigFile), client: &http.Client{
		Timeout: longest, Transport: &http.Transport{
			// The only server with TLS that is asked is the stand-in.
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}}}}
	if x.api, err = start(ctx, s.Dir, "apiserver", self, nil, "apiserver", "-dir", s.Dir, "-targets",
		strconv.Itoa(s.Targets), "-incidents", strconv.Itoa(s.Incidents), "-open="+strconv.FormatBool(s.Open),
		"-throttle", fmt.Sprint(s.Throttle)); err != nil {
		return nil, err
	}
	if x.targets, err = start(ctx, s.Dir, "targets", self, nil, "targets", "-dir", s.Dir, "-hang",
		strconv.Itoa(s.Hang), "-slow", strconv.Itoa(s.Slow), "-failing", strconv.Itoa(s.Failing)); err != nil {
		return nil, errors.Join(err, x.close())
	}
	var port []byte
	err = errors.Join(x.api.wait(ctx, "the API server is up", 10*time.Millisecond, func() (bool, error) {
		_, err := os.Stat(x.kubeconfig)
		return err == nil, err
	}), x.targets.wait(ctx, "the targets are up", 10*time.Millisecond, func() (bool, error) {
		port, err = os.ReadFile(filepath.Join(s.Dir, portFile))
		return err == nil, err
	}))
	if err == nil {
		x.port, err = strconv.Atoi(string(port))
	}
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// close ends all that runs.
func (x *scene) close() error {
	for _, p := range []*process{x.daemon, x.targets, x.api} {
		p.stop()
	}
	return nil
}

// run starts the daemon and waits until it is ready.
func (x *scene) run(ctx context.Context) (ready time.Duration, err error) {
	config := fleetConfig(x.Targets, x.port)
	if x.Config != nil {
		config = x.Config(x.port)
	}
	if err := publish(x.configFile(), []byte(config)); err != nil {
		return 0, err
	}
	if x.web, err = freeAddress(); err != nil {
		return 0, err
	}
	if x.metrics, err = freeAddress(); err != nil {
		return 0, err
	}
	var env []string
	if x.MemoryLimit > 0 {
		env = append(env, fmt.Sprintf("MEMORY_LIMIT_BYTES=%d", x.MemoryLimit<<20))
	}
	x.started = time.Now()
	if x.daemon, err = start(ctx, x.Dir, "watchdog", x.Watchdog, env, "run", "--config.file", x.configFile(),
		"--data-dir", filepath.Join(x.Dir, "data"), "--kubeconfig", x.kubeconfig, "--namespace", Namespace,
		"--installation", "watchdog", "--identity", "watchdog-0", "--web.listen-address", x.web,
		"--web.metrics-listen-address", x.metrics, "--web.enable-profiling"); err != nil {
		return 0, err
	}
	err = x.daemon.wait(ctx, "watchdog is ready", 10*time.Millisecond, func() (bool, error) {
		resp, err := x.client.Get("http://" + x.metrics + "/-/ready")
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
	return time.Since(x.started), err
}

func (x *scene) configFile() string { return filepath.Join(x.Dir, "config", "watchdog.yaml") }

// fleetConfig is the usual configuration: two probes a target every 15 seconds, the shipped thresholds.
func fleetConfig(targets, port int) string {
	var b strings.Builder
	b.WriteString("mode: observe\napi: { read: anybody }\ntargets:\n")
	for t := range target(targets) {
		fmt.Fprintf(&b, "  - name: %[1]s\n    namespace: %[2]s\n    workload: deployment/%[1]s\n    service: %[1]s\n"+
			"    probes:\n      - health: { url: \"http://%[3]s:%[4]d/health\", interval: 15s }\n"+
			"      - http: { url: \"http://%[3]s:%[4]d/\", interval: 15s }\n", t.name(), t.namespace(), t.address(), port)
	}
	return b.String()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// state asks the API server how far the daemon is.
func (x *scene) state() (State, error) {
	var st State
	config, err := clientcmd.LoadFromFile(x.kubeconfig)
	if err != nil {
		return st, err
	}
	return st, x.read(config.Clusters["fleet"].Server+"/fleet/state", &st)
}

// arrivals asks the targets how regularly they were asked since the last call.
func (x *scene) arrivals() (Arrivals, error) {
	var a Arrivals
	return a, x.read(fmt.Sprintf("http://127.0.0.1:%d/fleet/arrivals", x.port), &a)
}

func (x *scene) read(url string, into any) error {
	resp, err := x.client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// scrape is how long the metrics may take; a Prometheus waits for 10 s.
const scrape = 20 * time.Second

// figures reads the daemon's metrics: the sum of each that is named, over the series whose text
// contains one of the labels, if there are any.
func (x *scene) figures(names map[string][]string) (map[string]float64, error) {
	client := *x.client
	client.Timeout = scrape
	resp, err := client.Get("http://" + x.metrics + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the metrics of watchdog: %w", err)
	}
	defer resp.Body.Close()
	sums := map[string]float64{}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return sums, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the metrics of watchdog: %w", err)
		}
		at := strings.LastIndexByte(line, ' ')
		name, labels, _ := strings.Cut(line[:max(at, 0)], "{")
		wanted, known := names[name]
		if !known || strings.HasPrefix(line, "#") || !containsOne(labels, wanted) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			return nil, fmt.Errorf("read the metrics of watchdog: %q: %w", line, err)
		}
		sums[name] += v
	}
}

func containsOne(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return len(parts) == 0
}

// profile writes profiles of the daemon into a folder.
func (x *scene) profile(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, path := range map[string]string{"heap": "heap", "allocs": "allocs", "mutex": "mutex", "block": "block",
		"goroutines.txt": "goroutine?debug=1", "cpu": "profile?seconds=20"} {
		err := func() error {
			resp, err := x.client.Get("http://" + x.web + "/debug/pprof/" + path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(f, resp.Body)
			return err
		}()
		if err != nil {
			return fmt.Errorf("take the profile %s: %w", name, err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
