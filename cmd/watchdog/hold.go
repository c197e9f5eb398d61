package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/responder"
)

func newHold() *cobra.Command {
	f := cluster{}
	reason, all, long := "", false, time.Duration(0)
	c := &cobra.Command{
		Use:   "hold (NAMESPACE | NAMESPACE/DEPLOYMENT | --all) --reason WHY [--for DURATION]",
		Short: "Stop all actions on a workload, on a namespace, or everywhere",
		Long: `Hold stops all actions on a workload, on a namespace, or everywhere. watchdog continues to
probe, evaluate rules and notify.

A hold on a workload or namespace is the annotation watchdog.io/hold on that object; --all
sets the kill switch in the ledger. Both work while watchdog is down and require only your
own rights. With --for, the hold expires. Without it, ` + "`watchdog status`" + ` shows its age, and
watchdog pages when a target stays in breach for guards.hold_limit (30m) under a hold.

Without this command:

  kubectl annotate deployment NAME watchdog.io/hold="why"
  kubectl -n watchdog patch ledger watchdog --type merge -p '{"spec":{"hold":{"reason":"why"}}}'`,
		Example: "  watchdog hold shop/cart --for 2h --reason \"migration\"\n  watchdog hold --all --reason \"data " +
			"centre move\"",
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return misused{errors.New("hold requires --reason")}
			}
			if long < 0 || c.Flags().Changed("for") && long < time.Minute {
				return misused{errors.New("--for is how long the hold lasts, at least 1m")}
			}
			until := time.Time{}
			if long > 0 {
				until = time.Now().Add(long).Truncate(time.Second)
			}
			return f.mark(c, args, all, reason, until)
		},
	}
	f.register(c)
	c.Flags().DurationVar(&long, "for", 0, "duration of the hold; default: until it is resumed")
	c.Flags().StringVar(&reason, "reason", "", "reason; shown wherever watchdog reports that it did not act")
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
		RunE:    func(c *cobra.Command, args []string) error { return f.mark(c, args, all, "", time.Time{}) },
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
func (f *cluster) mark(c *cobra.Command, args []string, all bool, reason string, until time.Time) error {
	if all == (len(args) == 1) || len(args) > 1 {
		return misused{fmt.Errorf("%s takes either one NAMESPACE or NAMESPACE/DEPLOYMENT, or --all", spoken(c))}
	}
	r := responder.Request{Action: responder.Hold, Reason: reason, Until: until, All: all}
	if reason == "" {
		r.Action = responder.Resume
	}
	// A hold on a workload is an annotation there, wherever watchdog is installed.
	connect := f.connect
	if all {
		connect = f.store
	} else {
		o, err := heldTarget(args[0])
		if err != nil {
			return err
		}
		r.Object = o
	}
	client, store, err := connect()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	return f.send(ctx, c, kube.NewResponder(client, store), named(ctx, client), r)
}

// heldTarget reads what is held: a deployment or, without a name, a whole namespace.
func heldTarget(word string) (responder.Object, error) {
	namespace, name, workload := strings.Cut(word, "/")
	bad := validation.IsDNS1123Label(namespace) != nil || workload && validation.IsDNS1123Subdomain(name) != nil
	switch {
	case bad:
		return responder.Object{}, misused{fmt.Errorf("%q: write NAMESPACE or NAMESPACE/DEPLOYMENT", word)}
	case workload:
		return responder.Object{Namespace: namespace, Kind: "deployment", Name: name}, nil
	}
	return responder.Object{Namespace: namespace}, nil
}
