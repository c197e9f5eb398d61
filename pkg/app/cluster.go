package app

import (
	"path/filepath"

	"watchdog.io/watchdog/pkg/evidence"
	"watchdog.io/watchdog/pkg/kube"
)

// cluster is what the engine reads, captures and writes: [engine.Cluster].
type cluster struct {
	*kube.Reader
	*kube.Writer
	*evidence.Folder
}

func newCluster(a *App) cluster {
	r := kube.NewReader(a.client)
	return cluster{r, kube.NewWriter(a.client, a.o.Namespace),
		evidence.New(filepath.Join(a.o.DataDir, "evidence"), r, a.o.Secrets)}
}
