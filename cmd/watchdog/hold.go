package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
)

func newHold() *cobra.Command {
	f := cluster{}
	reason, all, long := "", false, time.Duration(0)
	c := &cobra.Command{
		Use:   "hold (NAMESPACE | NAMESPACE/DEPLOYMENT | --all) --reason WHY [--for DURATION]",
		Short: "Forbid every action on a workload, a namespace, or everywhere",
		Long: `Hold makes watchdog keep its hands off. It goes on looking and telling.

A hold on a workload or a namespace is the annotation watchdog.io/hold on that
object; --all sets the kill switch in watchdog's ledger. Both work while watchdog
is down, and need only your own rights. With --for the hold ends by itself; without it,
it is easily forgotten: ` + "`watchdog status`" + ` shows it with its age, and what stays in breach
under it for guards.hold_limit (30m) pages a person. Without this command:

  kubectl annotate deployment NAME watchdog.io/hold="why"
  kubectl -n watchdog patch ledger watchdog --type merge -p '{"spec":{"hold":{"reason":"why"}}}'`,
		Example: "  watchdog hold shop/cart --for 2h --reason \"migration\"\n  watchdog hold --all --reason \"data centre move\"",
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return misused{errors.New("hold needs --reason: the next person will ask")}
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
	c.Flags().DurationVar(&long, "for", 0, "how long it lasts; without it, until somebody resumes")
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
	if all {
		return f.markAll(c, reason, until)
	}
	t, err := heldTarget(args[0])
	if err != nil {
		return err
	}
	// A hold on a workload is an annotation there, wherever watchdog is installed.
	client, store, err := f.connect()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	said := heldUntil(until)
	if reason != "" {
		err = client.HoldTarget(ctx, t.namespace, t.kind, t.name, reason, named(ctx, client), until)
	} else {
		said, err = f.resume(ctx, client, store, t)
	}
	if err != nil {
		return notThere(t, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", args[0], said)
	return nil
}

// heldUntil says for how long something is.
func heldUntil(until time.Time) string {
	if until.IsZero() {
		return "held, until somebody resumes it"
	}
	return "held until " + until.UTC().Format("2006-01-02 15:04 UTC")
}

// holdable is what a hold may be on: a deployment or, without a name, a whole namespace.
type holdable struct{ namespace, kind, name string }

func heldTarget(word string) (holdable, error) {
	namespace, name, workload := strings.Cut(word, "/")
	bad := validation.IsDNS1123Label(namespace) != nil || workload && validation.IsDNS1123Subdomain(name) != nil
	switch {
	case bad:
		return holdable{}, misused{fmt.Errorf("%q: write NAMESPACE or NAMESPACE/DEPLOYMENT", word)}
	case workload:
		return holdable{namespace, "deployment", name}, nil
	}
	return holdable{namespace: namespace}, nil
}

// notThere says of a missing object what is missing.
func notThere(t holdable, err error) error {
	switch {
	case !apierrors.IsNotFound(err):
		return err
	case t.kind == "":
		return fmt.Errorf("no namespace %s", t.namespace)
	}
	return fmt.Errorf("no deployment %s in namespace %s", t.name, t.namespace)
}

// resume lifts a hold and a quarantine, and says which of them there was.
func (f *cluster) resume(ctx context.Context, client *kube.Client, store *kube.Store, t holdable) (string, error) {
	was, err := client.ResumeTarget(ctx, t.namespace, t.kind, t.name)
	if err != nil {
		return "", err
	}
	quarantined, err := lift(ctx, store, t)
	switch {
	case err != nil:
		return "", err
	case was && quarantined:
		return "resumed, its hold and its quarantine are lifted", nil
	case quarantined:
		return "resumed, its quarantine is lifted", nil
	case was:
		return "resumed", nil
	}
	return "was not on hold", nil
}

// markAll sets or lifts the kill switch.
func (f *cluster) markAll(c *cobra.Command, reason string, until time.Time) error {
	client, store, err := f.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	said := heldUntil(until)
	if reason != "" {
		err = store.HoldAll(ctx, reason, named(ctx, client), until)
	} else {
		said, err = resumeAll(ctx, store)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "everything: %s\n", said)
	return nil
}

func resumeAll(ctx context.Context, store *kube.Store) (string, error) {
	l, _, err := store.Ledger(ctx)
	if err == nil && l.Hold == nil {
		return "was not on hold", nil
	}
	// A ledger that cannot be read is resumed all the same.
	return "resumed", store.ResumeAll(ctx)
}

// lift ends the quarantine of the workload, if there is one, and reports whether there was.
func lift(ctx context.Context, store *kube.Store, t holdable) (bool, error) {
	if t.kind == "" {
		return false, nil
	}
	ledger, _, err := store.Ledger(ctx)
	if err != nil {
		return false, err
	}
	target := incident.Target{Namespace: t.namespace, Kind: t.kind, Workload: t.name}.String()
	if q, on := ledger.Quarantined(target); on {
		return true, store.Lift(ctx, target, q.Op)
	}
	return false, nil
}
