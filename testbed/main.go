//go:build linux

// Command testbed is a real Kubernetes control plane for tests and demos: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, and a simulated
// kubelet whose pods are real local processes. One binary, no containers.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	helm "helm.sh/helm/v4/pkg/cmd"
	helmkube "helm.sh/helm/v4/pkg/kube"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const help = `usage: testbed COMMAND

  up            start a control plane; prints KUBECONFIG=… when it is ready
  kubectl …     kubectl
  helm …        helm
  keda          a stand-in for the KEDA operator, beside a running testbed

and the components that up starts: etcd, kube-apiserver, kube-controller-manager,
kube-scheduler, kubelet-sim`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, help)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	os.Args = append([]string{filepath.Base(name)}, args...)
	os.Exit(run(name, args))
}

func run(name string, args []string) int {
	switch name {
	case "kube-apiserver":
		return cli.Run(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		return cli.Run(controllers.NewControllerManagerCommand())
	case "kube-scheduler":
		return cli.Run(scheduler.NewSchedulerCommand())
	case "kubectl":
		return runKubectl()
	case "helm":
		return runHelm(args)
	case "etcd":
		return failed(runEtcd(args))
	case "up":
		return failed(up(args))
	case "kubelet-sim":
		return failed(runKubelet(args))
	case "keda":
		return failed(runKeda(args))
	}
	fmt.Fprintf(os.Stderr, "testbed: unknown command %q\n%s\n", name, help)
	return 2
}

func failed(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "testbed:", err)
	return 1
}

// runKubectl reports errors as kubectl's own main does.
func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		// Prints the error and ends the process with kubectl's exit code.
		kubectlutil.CheckErr(err)
	}
	return 0
}

// runHelm runs helm as its own main does, with its exit codes.
func runHelm(args []string) int {
	// Otherwise the field manager would be named after this binary.
	helmkube.ManagedFieldsManager = "helm"
	cmd, err := helm.NewRootCmd(os.Stdout, args, helm.SetupLogging)
	if err != nil {
		slog.Warn("helm", "err", err)
		return 1
	}
	if err := cmd.Execute(); err != nil {
		if c, ok := errors.AsType[helm.CommandError](err); ok {
			return c.ExitCode
		}
		return 1
	}
	return 0
}
