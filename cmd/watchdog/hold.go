package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
)

func newHold() *cobra.Command {
	f := cluster{}
	reason, all := "", false
	c := &cobra.Command{
		Use:   "hold (NAMESPACE | NAMESPACE/DEPLOYMENT | --all) --reason WHY",
		Short: "Forbid every action on a workload, a namespace, or everywhere",
		Long: `Hold makes watchdog keep its hands off. It goes on looking and telling.

A hold on a workload or a namespace is the annotation watchdog.io/hold on that
object; --all sets the kill switch in watchdog's ledger. Both work while watchdog
is down, and need only your own rights. Without this command:

  kubectl annotate deployment NAME watchdog.io/hold="why"
  kubectl -n watchdog patch ledger watchdog --type merge -p '{"spec":{"hold":{"reason":"why"}}}'`,
		Example: "  watchdog hold shop/cart --reason \"migration until 15:00\"\n  watchdog hold --all --reason \"data centre move\"",
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return misused{errors.New("hold needs --reason: the next person will ask")}
			}
			return f.mark(c, args, all, reason)
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; shown wherever watchdog says that it did not act")
	c.Flags().BoolVar(&all, "all", false, "hold everything")
	return c
}

func newResume() *cobra.Command {
	f := cluster{}
	all := false
	c := &cobra.Command{
		Use:     "resume (NAMESPACE | NAMESPACE/DEPLOYMENT | --all)",
		Short:   "Lift a hold or a quarantine",
		Example: "  watchdog resume shop/cart\n  watchdog resume --all",
		RunE:    func(c *cobra.Command, args []string) error { return f.mark(c, args, all, "") },
	}
	f.register(c)
	c.Flags().BoolVar(&all, "all", false, "lift the hold on everything")
	return c
}

// named is the API server's name for the caller. A hold does not wait for it: without
// an answer it is the name at the keyboard.
func named(ctx context.Context, client *kube.Client) string {
	if by, err := client.WhoAmI(ctx); err == nil && by != "" {
		return by
	}
	return whoami()
}

// mark sets (reason given) or lifts (reason empty) a hold.
func (f *cluster) mark(c *cobra.Command, args []string, all bool, reason string) error {
	if all == (len(args) == 1) || len(args) > 1 {
		return misused{fmt.Errorf("%s takes either one NAMESPACE or NAMESPACE/DEPLOYMENT, or --all", spoken(c))}
	}
	client, store, err := f.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	verb, what := "held", "everything"
	if reason == "" {
		verb = "resumed"
	}
	switch {
	case all && reason != "":
		err = store.HoldAll(ctx, reason, named(ctx, client))
	case all:
		err = store.ResumeAll(ctx)
	default:
		what = args[0]
		namespace, name, workload := strings.Cut(what, "/")
		kind := ""
		if workload {
			kind = "deployment"
		}
		if reason != "" {
			err = client.HoldTarget(ctx, namespace, kind, name, reason, named(ctx, client))
		} else {
			err = errors.Join(client.ResumeTarget(ctx, namespace, kind, name), lift(ctx, store, namespace, name))
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", what, verb)
	return nil
}

// lift ends the quarantine of the workload, if there is one.
func lift(ctx context.Context, store *kube.Store, namespace, name string) error {
	ledger, _, err := store.Ledger(ctx)
	if err != nil {
		return err
	}
	target := incident.Target{Namespace: namespace, Kind: "deployment", Workload: name}.String()
	if q, on := ledger.Quarantined(target); on {
		return store.Lift(ctx, target, q.Op)
	}
	return nil
}
