package main

import (
	"context"
	"fmt"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/kube"
)

// cluster are the flags of every command that asks the cluster.
type cluster struct {
	kubeconfig string
	context    string
	namespace  string
	output     string
	command    *cobra.Command
}

func (f *cluster) register(c *cobra.Command) {
	f.command = c
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "",
		"kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the pod's service account)")
	c.Flags().StringVar(&f.context, "context", "", "kubeconfig context")
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "watchdog", "namespace of the watchdog installation")
}

func (f *cluster) registerOutput(c *cobra.Command) {
	c.Flags().StringVarP(&f.output, "output", "o", formatTable, "table or json")
}

// store connects and returns the client and watchdog's own objects. A namespace
// without any is an error: "no incidents" would read as "nothing is wrong".
func (f *cluster) store() (*kube.Client, *kube.Store, error) {
	client, store, err := f.connect()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := bounded(f.command)
	defer cancel()
	return client, store, client.Installed(ctx, f.namespace)
}

// connect is store without the look for an installation.
func (f *cluster) connect() (*kube.Client, *kube.Store, error) {
	if f.output != "" && f.output != formatTable && f.output != formatJSON {
		return nil, nil, misused{fmt.Errorf("invalid --output %q; expected one of: table, json", f.output)}
	}
	client, err := kube.Connect(f.kubeconfig, f.context)
	if err != nil {
		return nil, nil, err
	}
	return client, kube.OpenStore(client, f.namespace), nil
}

// commandTimeout bounds every command but run.
const commandTimeout = 30 * time.Second

func bounded(c *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Context(), commandTimeout)
}

// whoami names the person at the keyboard for records; the API server's audit
// log has the authenticated name.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
