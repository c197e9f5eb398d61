package app

import (
	"fmt"
	"os"

	"watchdog.io/watchdog/pkg/config"
)

// makeDataDir makes the data directory. One that everybody may write to is refused,
// but not in a pod: an emptyDir has mode 0777, and only the containers of the pod reach
// it. What lies in it is watchdog's own in either case: see disk.Private.
func makeDataDir(dir string, inPod bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o002 != 0 && !inPod {
		return fmt.Errorf("everybody may write to the data directory %s (mode %04o): chmod 0700 %[1]s", dir, mode)
	}
	return nil
}

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
