package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Peers are the options of a comparison of HTTP probing: the same targets, one GET a second each,
// with one program after the other.
type Peers struct {
	Setup
	Rounds       int
	Warm, Window time.Duration
	// Programs of others; empty: not compared.
	Gatus, Blackbox, Prometheus string
}

// Names of who is compared.
const (
	floorNew     = "bare loop, new connections"
	floorKept    = "bare loop, kept connections"
	watchdogNew  = "watchdog, new connections"
	watchdogKept = "watchdog, reuse_connections"
	gatusNew     = "Gatus, status only (new connections)"
	gatusKept    = "Gatus, body read (kept connections)"
	blackboxNew  = "blackbox_exporter with Prometheus (new connections)"
)

// ratios are who stands beside whom.
var ratios = [][2]string{
	{watchdogNew, floorNew}, {watchdogNew, gatusNew}, {watchdogNew, blackboxNew},
	{watchdogKept, floorKept}, {watchdogKept, gatusKept},
}

// peer is one program that probes.
type peer struct {
	name  string
	start func(ctx context.Context, x *scene) ([]*process, error)
}

// probed is what one round of one peer cost.
type probed struct {
	cpu          float64 // seconds per 10,000 probes
	rss          float64 // MiB
	rate         float64 // probes a second
	newConnShare float64
}

// Run measures the peers in turns and writes the table and the ratios.
func (p Peers) Run(ctx context.Context, w io.Writer) error {
	all, err := p.peers(ctx, w)
	if err != nil {
		return err
	}
	results := map[string][]probed{}
	for round := range p.Rounds {
		for _, one := range all {
			r, err := p.round(ctx, one, round)
			if err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			results[one.name] = append(results[one.name], r)
		}
	}
	fmt.Fprintf(w, "\n%d targets, one GET a second each, %d rounds of %s in turns:\n\n| who | CPU s per 10,000 probes | "+
		"median | RSS, MiB | probes a second | on new connections |\n|---|---|---|---|---|---|\n", p.Targets, p.Rounds,
		p.Window)
	medians := map[string]float64{}
	for _, one := range all {
		rounds := results[one.name]
		var each []string
		for _, r := range rounds {
			each = append(each, fmt.Sprintf("%.2f", r.cpu))
		}
		slices.SortFunc(rounds, func(a, b probed) int { return int(1e6 * (a.cpu - b.cpu)) })
		m := rounds[len(rounds)/2]
		medians[one.name] = m.cpu
		fmt.Fprintf(w, "| %s | %s | %.2f | %.0f | %.0f | %.0f %% |\n", one.name, strings.Join(each, " "), m.cpu, m.rss,
			m.rate, 100*m.newConnShare)
	}
	fmt.Fprint(w, "\n| CPU per probe | ratio |\n|---|---|\n")
	for _, r := range ratios {
		if medians[r[0]] > 0 && medians[r[1]] > 0 {
			fmt.Fprintf(w, "| %s ÷ %s | %.2f |\n", r[0], r[1], medians[r[0]]/medians[r[1]])
		}
	}
	return nil
}

// peers are those that can run here; who cannot is said.
func (p Peers) peers(ctx context.Context, w io.Writer) ([]peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	loop := func(kept bool) func(context.Context, *scene) ([]*process, error) {
		return func(ctx context.Context, x *scene) ([]*process, error) {
			return one(start(ctx, x.Dir, "loop", self, nil, "loop", "-targets", strconv.Itoa(x.Targets), "-port",
				strconv.Itoa(x.port), "-keep="+strconv.FormatBool(kept)))
		}
	}
	all := []peer{{floorNew, loop(false)}, {watchdogNew, p.watchdog("")}, {floorKept, loop(true)}}
	const reuse = ", reuse_connections: true"
	file := filepath.Join(p.Dir, "reuse.yaml")
	if err := publish(file, []byte(probeConfig(1, 80, reuse))); err != nil {
		return nil, err
	}
	if _, err := run(ctx, p.Watchdog, "check", file); err == nil {
		all = append(all, peer{watchdogKept, p.watchdog(reuse)})
	} else {
		fmt.Fprintf(w, "left out: %s: %s does not know the option\n", watchdogKept, p.Watchdog)
	}
	if exists(p.Gatus) {
		all = append(all, peer{gatusNew, p.gatus(`"[STATUS] == 200"`)},
			peer{gatusKept, p.gatus(`"[STATUS] == 200", "len([BODY]) > 0"`)})
	} else {
		fmt.Fprintf(w, "left out: Gatus: no file %q; make bin/gatus\n", p.Gatus)
	}
	if exists(p.Blackbox) && exists(p.Prometheus) {
		all = append(all, peer{blackboxNew, p.blackbox})
	} else {
		fmt.Fprintf(w, "left out: blackbox_exporter: no file %q or %q; make bin/blackbox_exporter bin/prometheus\n",
			p.Blackbox, p.Prometheus)
	}
	return all, nil
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func one(p *process, err error) ([]*process, error) { return []*process{p}, err }

func (p Peers) round(ctx context.Context, who peer, round int) (r probed, err error) {
	s := p.Setup
	s.Dir = filepath.Join(p.Dir, fmt.Sprintf("%d %s", round, who.name))
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return r, err
	}
	x, err := open(ctx, s)
	if err != nil {
		return r, err
	}
	defer x.close()
	running, err := who.start(ctx, x)
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	if err != nil {
		return r, err
	}
	if err := pause(ctx, p.Warm); err != nil {
		return r, err
	}
	before, err := sum(running)
	if err != nil {
		return r, err
	}
	if _, err := x.arrivals(); err != nil {
		return r, err
	}
	began := time.Now()
	if err := pause(ctx, p.Window); err != nil {
		return r, err
	}
	a, err := x.arrivals()
	took := time.Since(began)
	after, err2 := sum(running)
	if err = errors.Join(err, err2); err != nil {
		return r, err
	}
	if a.Requests == 0 {
		return r, fmt.Errorf("no probe has arrived; see the logs in %s", s.Dir)
	}
	n := float64(a.Requests)
	return probed{cpu: (after.cpu - before.cpu) / n * 10_000, rss: after.rss, rate: n / took.Seconds(),
		newConnShare: float64(a.Connections) / n}, nil
}

func sum(running []*process) (all usage, err error) {
	for _, p := range running {
		u, err := p.usage()
		if err != nil {
			return all, err
		}
		all.cpu, all.rss, all.peak = all.cpu+u.cpu, all.rss+u.rss, all.peak+u.peak
	}
	return all, nil
}

func (p Peers) watchdog(option string) func(context.Context, *scene) ([]*process, error) {
	return func(ctx context.Context, x *scene) ([]*process, error) {
		x.Config = func(port int) string { return probeConfig(x.Targets, port, option) }
		_, err := x.run(ctx)
		return []*process{x.daemon}, err
	}
}

// probeConfig is watchdog as a prober: one probe a target every second, and no rules.
func probeConfig(targets, port int, option string) string {
	var b strings.Builder
	b.WriteString("mode: observe\napi: { read: anybody }\nthresholds: []\ntargets:\n")
	for t := range target(targets) {
		fmt.Fprintf(&b, "  - name: %[1]s\n    namespace: %[2]s\n    workload: deployment/%[1]s\n    probes:\n"+
			"      - http: { url: \"http://%[3]s:%[4]d/\", interval: 1s, timeout: 1s%[5]s }\n", t.name(), t.namespace(),
			t.address(), port, option)
	}
	return b.String()
}

func (p Peers) gatus(conditions string) func(context.Context, *scene) ([]*process, error) {
	return func(ctx context.Context, x *scene) ([]*process, error) {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		fmt.Fprintf(&b, "concurrency: 50\nstorage: { type: memory }\nweb: { address: 127.0.0.1, port: %s }\nendpoints:\n",
			address[strings.LastIndex(address, ":")+1:])
		for t := range target(x.Targets) {
			fmt.Fprintf(&b, "  - { name: %s, url: \"http://%s:%d/\", interval: 1s, conditions: [%s] }\n", t.name(), t.address(),
				x.port, strings.ReplaceAll(conditions, `"`, `'`))
		}
		file := filepath.Join(x.Dir, "gatus.yaml")
		if err := publish(file, []byte(b.String())); err != nil {
			return nil, err
		}
		return one(start(ctx, x.Dir, "gatus", p.Gatus, []string{"GATUS_CONFIG_PATH=" + file, "GATUS_LOG_LEVEL=WARN"}))
	}
}

func (p Peers) blackbox(ctx context.Context, x *scene) ([]*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	web, err := freeAddress()
	if err != nil {
		return nil, err
	}
	modules, config := filepath.Join(x.Dir, "blackbox.yml"), filepath.Join(x.Dir, "prometheus.yml")
	var b strings.Builder
	fmt.Fprintf(&b, "scrape_configs:\n- job_name: blackbox\n  scrape_interval: 1s\n  scrape_timeout: 1s\n"+
		"  metrics_path: /probe\n  params: { module: [get] }\n  relabel_configs:\n"+
		"  - { source_labels: [__address__], target_label: __param_target }\n"+
		"  - { source_labels: [__param_target], target_label: instance }\n"+
		"  - { target_label: __address__, replacement: %q }\n  static_configs:\n  - targets:\n", address)
	for t := range target(x.Targets) {
		fmt.Fprintf(&b, "    - http://%s:%d/\n", t.address(), x.port)
	}
	if err := errors.Join(publish(config, []byte(b.String())), publish(modules, []byte("modules:\n  get:\n"+
		"    prober: http\n    timeout: 1s\n    http: { preferred_ip_protocol: ip4 }\n"))); err != nil {
		return nil, err
	}
	exporter, err := start(ctx, x.Dir, "blackbox", p.Blackbox, nil, "--config.file="+modules,
		"--web.listen-address="+address, "--log.level=error")
	if err != nil {
		return nil, err
	}
	prometheus, err := start(ctx, x.Dir, "prometheus", p.Prometheus, nil, "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(x.Dir, "tsdb"), "--web.listen-address="+web, "--log.level=error")
	if err != nil {
		return []*process{exporter}, err
	}
	return []*process{exporter, prometheus}, nil
}

// Loop asks each target once a second and does nothing else: what probing costs at least in Go.
func Loop(ctx context.Context, targets, port int, keep bool) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: !keep}}
	for t := range target(targets) {
		go func() {
			// Spread over the second.
			if pause(ctx, time.Duration(t)*time.Second/time.Duration(targets)) != nil {
				return
			}
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			url := fmt.Sprintf("http://%s:%d/", t.address(), port)
			for {
				get(ctx, client, url)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		}()
	}
	<-ctx.Done()
}

func get(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		return // the targets count what arrives
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
