package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"watchdog.io/watchdog/pkg/app"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/redact"
)

func newRun() *cobra.Command {
	o := app.Options{Lead: kube.LeadOptions{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second,
		RetryPeriod: 2 * time.Second}}
	level, format := "info", "logfmt"
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run watches the configured targets until it receives SIGTERM. Several replicas may
run: the leader acts, the others probe and evaluate rules, and take over if it fails.
SIGHUP, POST /-/reload or a changed file reload the configuration. If the new file
has an error, watchdog keeps the previous configuration.`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			logger, err := newLogger(c, level, format)
			if err != nil {
				return misused{err}
			}
			o.Secrets = &redact.Known{}
			logger = slog.New(redact.Handler(logger.Handler(), o.Secrets))
			klog.SetSlogLogger(logger.With("component", "client-go"))
			o.Logger = logger
			if err := addresses(&o); err != nil {
				return err
			}
			limitMemory(logger)
			return app.Run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.ConfigFile, "config.file", "/etc/watchdog/watchdog.yaml", "configuration file")
	f.StringVar(&o.DataDir, "data-dir", "/var/lib/watchdog", "directory for the audit log, the outbox and evidence")
	f.StringVar(&o.AuditKeys, "audit.key-file", "",
		"file with the keys that seal the audit log, one per line, newest first (default: plain hashes, which "+
			"anyone with write access to the directory can recompute)")
	f.StringVar(&o.Listen, "web.listen-address", ":9095",
		"listen address for the API and the webhooks; reads require a token (docs/api.md)")
	f.StringVar(&o.MetricsListen, "web.metrics-listen-address", ":9096",
		"listen address for /metrics, /-/healthy and /-/ready, without TLS and authentication, for Prometheus and "+
			"the kubelet")
	f.StringVar(&o.WebConfig, "web.config.file", "",
		"exporter-toolkit web configuration for --web.listen-address: TLS and basic auth")
	f.BoolVar(&o.Profiling, "web.enable-profiling", false, "serve /debug/pprof")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "",
		"kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the pod's service account)")
	f.StringVar(&o.Namespace, "namespace", envOr("POD_NAMESPACE", "watchdog"),
		"namespace of watchdog's own objects (default $POD_NAMESPACE)")
	f.StringVar(&o.Advertise, "advertise-url", "",
		"URL at which other replicas reach this one to forward webhooks to the leader: http://10.0.0.7:9095")
	f.StringVar(&o.Installation, "installation", os.Getenv("INSTALLATION"),
		"name of this release and of its Deployment, one per namespace (default $INSTALLATION)")
	f.StringVar(&o.Identity, "identity", envOr("POD_NAME", hostname()), "name of this replica (default $POD_NAME)")
	f.DurationVar(&o.Lead.LeaseDuration, "leader.lease-duration", o.Lead.LeaseDuration,
		"time without a renewal after which a follower takes over")
	f.DurationVar(&o.Lead.RenewDeadline, "leader.renew-deadline", o.Lead.RenewDeadline,
		"time without a successful renewal after which the leader stops acting")
	f.DurationVar(&o.Lead.RetryPeriod, "leader.retry-period", o.Lead.RetryPeriod, "time between attempts")
	f.StringVar(&level, "log.level", level, "debug, info, warn or error")
	f.StringVar(&format, "log.format", format, "logfmt or json")
	return c
}

// addresses puts the addresses of the flags right, or says what is wrong with them.
func addresses(o *app.Options) error {
	var err error
	if o.Listen, err = listenAddress("web.listen-address", o.Listen); err != nil {
		return err
	}
	if o.MetricsListen, err = listenAddress("web.metrics-listen-address", o.MetricsListen); err != nil {
		return err
	}
	o.Advertise, err = advertisedURL(o.Advertise)
	return err
}

func newLogger(c *cobra.Command, level, format string) (*slog.Logger, error) {
	l, f := promslog.NewLevel(), promslog.NewFormat()
	if err := errors.Join(l.Set(level), f.Set(format)); err != nil {
		return nil, err
	}
	return promslog.New(&promslog.Config{Level: l, Format: f, Writer: c.ErrOrStderr()}), nil
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "watchdog"
	}
	return h
}

// gcPercent trades processor time, of which watchdog needs little, for memory:
// half of what is alive may be waste before it is collected.
const gcPercent = 50

// limitMemory follows the container's limit, which the chart hands over by the
// downward API: the garbage collector works harder before the kernel kills.
func limitMemory(l *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	v := os.Getenv("MEMORY_LIMIT_BYTES")
	if v == "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil || n <= 0 {
		l.Warn("Ignoring MEMORY_LIMIT_BYTES: not a number of bytes", "value", v)
		return
	}
	limit := n - max(n/10, min(n/2, outsideGo))
	debug.SetMemoryLimit(limit)
	l.Debug("memory limit", "bytes", fmt.Sprint(limit))
}

// outsideGo is what the process needs beyond what the Go runtime counts: the pages of the program itself.
const outsideGo = 48 << 20
