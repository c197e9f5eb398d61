package app

import (
	"os"

	"watchdog.io/watchdog/pkg/config"
)

// inPod reports whether this process runs in a pod.
func inPod() bool { return os.Getenv("KUBERNETES_SERVICE_HOST") != "" }

// permitted returns an error if anybody may write to a file that decides what watchdog
// does, and warns of files of secrets that anybody may read.
func permitted(cfg *config.Config, o Options) error {
	refused, readable := cfg.Exposed(o.WebConfig, o.Kubeconfig)
	for _, p := range readable {
		o.Logger.Warn("configuration", "warning", p.String())
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}
