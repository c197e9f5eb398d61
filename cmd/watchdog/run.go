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
	o := app.Options{Lead: kube.LeadOptions{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}}
	level, format := "info", "logfmt"
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run watches the targets of the configuration until it is told to stop (SIGTERM).
Several replicas may run: one leads and acts, the others look and judge, ready to
take over. SIGHUP, POST /-/reload or a changed file load the configuration again;
a file with an error changes nothing.`,
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
	f.StringVar(&o.DataDir, "data-dir", "/var/lib/watchdog", "directory for the audit record, the outbox and evidence")
	f.StringVar(&o.AuditKeys, "audit.key-file", "", "file with the keys that the audit record is sealed with, one per line, the newest first (default: plain hashes, which whoever can write the folder can make anew)")
	f.StringVar(&o.Listen, "web.listen-address", ":9095", "address to serve the API and the webhooks on: reads need a token (docs/api.md)")
	f.StringVar(&o.MetricsListen, "web.metrics-listen-address", ":9096", "address to serve /metrics, /-/healthy and /-/ready on, without TLS and authentication, for Prometheus and the kubelet's probes")
	f.StringVar(&o.WebConfig, "web.config.file", "", "exporter-toolkit web configuration of --web.listen-address: TLS and basic auth")
	f.BoolVar(&o.Profiling, "web.enable-profiling", false, "serve /debug/pprof")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the pod's own account)")
	f.StringVar(&o.Namespace, "namespace", envOr("POD_NAMESPACE", "watchdog"), "namespace of watchdog's own objects (default $POD_NAMESPACE)")
	f.StringVar(&o.Advertise, "advertise-url", "", "URL at which other replicas reach this one, to pass webhooks on to the leader: http://10.0.0.7:9095")
	f.StringVar(&o.Installation, "installation", os.Getenv("INSTALLATION"), "name of this release and of its Deployment, one per namespace (default $INSTALLATION)")
	f.StringVar(&o.Identity, "identity", envOr("POD_NAME", hostname()), "name of this replica (default $POD_NAME)")
	f.DurationVar(&o.Lead.LeaseDuration, "leader.lease-duration", o.Lead.LeaseDuration, "how long a follower waits before it takes over")
	f.DurationVar(&o.Lead.RenewDeadline, "leader.renew-deadline", o.Lead.RenewDeadline, "how long the leader tries to renew before it stops acting")
	f.DurationVar(&o.Lead.RetryPeriod, "leader.retry-period", o.Lead.RetryPeriod, "pause between tries")
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
		l.Warn("MEMORY_LIMIT_BYTES is not a number of bytes; ignored", "value", v)
		return
	}
	debug.SetMemoryLimit(n * 9 / 10)
	l.Debug("memory limit", "bytes", fmt.Sprint(n*9/10))
}
