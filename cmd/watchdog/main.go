// Command watchdog watches services on Kubernetes, fixes what can be fixed
// inside guardrails, proves the fix, and tells the right people.
//
// It owns flags, signals and exit codes. Nothing else in the program may exit.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := helpWanted(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(root.ErrOrStderr(), "watchdog:", err)
	return exitCode(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "watchdog",
		Short: "Watch services on Kubernetes and remediate incidents within guardrails",
		Long: `watchdog watches services on Kubernetes and evaluates PromQL rules. When an alert
fires, it works through a ladder of actions: scale, restart, rollback, page.
Guards must allow every action. Each action is recorded first and verified afterwards.

In the cluster:   watchdog run
Before a change:  watchdog check, watchdog test, watchdog simulate, watchdog backtest, watchdog notify test
On call:          watchdog status, watchdog incidents, watchdog why, watchdog hold, watchdog resume, watchdog undo, watchdog ack,
                  watchdog note, watchdog severity, watchdog approve, watchdog deny, watchdog publish, watchdog maintenance
Afterwards:       watchdog review, watchdog sla report, watchdog audit

Exit status: 0 success, 1 failure or a negative answer, 2 usage error.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misused{fmt.Errorf("%w\nsee %q", err, c.CommandPath()+" --help")}
	})
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}",
		`{{if and .Runnable (not (index .Annotations "group"))}}`, 1))
	return group(root, newRun(), shortLived(newCheck()), newStatus(), newIncidents(), newWhy(), shortLived(newSimulate()),
		shortLived(newTest()), shortLived(newBacktest()), newSLA(), newHold(), newResume(), newUndo(), newAck(), newNote(),
		newSeverity(), newApprove(), newDeny(), newPublish(), newReview(), newAudit(), newNotify(), newMaintenance(),
		newVersion())
}

// group makes a command that does nothing without one of its own. A word that is none
// of them is wrong usage: a script that mistypes "maintenance check" must not go on.
func group(c *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	c.AddCommand(subs...)
	c.Annotations = map[string]string{"group": "true"}
	c.SuggestionsMinimumDistance = 2
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return noCommand(c, args[0])
	}
	return c
}

// noCommand is the error of a word that is no command of c. It never suggests to run
// the daemon: somebody who mistypes at a terminal does not want to start it.
func noCommand(c *cobra.Command, word string) error {
	near := ""
	all := slices.DeleteFunc(c.SuggestionsFor(word), func(s string) bool { return s == "run" })
	if len(all) > 0 {
		near = "; did you mean " + strings.Join(all, " or ") + "?"
	}
	return misused{fmt.Errorf("unknown command %q%s\nsee %q", c.CommandPath()+" "+word, near,
		c.CommandPath()+" --help")}
}

// helpWanted is the error of asking for help with a command that does not exist,
// which the library answers with that of its parent and success.
func helpWanted(root *cobra.Command, args []string) error {
	wanted := false
	if len(args) > 0 && args[0] == "help" {
		args, wanted = args[1:], true
	}
	c, rest, err := root.Find(args)
	if err != nil || c.Annotations["group"] == "" {
		return nil // no group: its own flags and arguments are checked by itself
	}
	word := ""
	for _, a := range rest {
		switch {
		case a == "-h" || a == "--help":
			wanted = true
		case word == "" && !strings.HasPrefix(a, "-"):
			word = a
		}
	}
	if !wanted || word == "" || word == "completion" || word == "help" {
		return nil
	}
	return noCommand(c, word)
}

// spoken is the command as an error names it, behind the program's own name.
func spoken(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

// exactly is cobra's argument check with our exit code.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return misused{fmt.Errorf("%s requires %s\nsee %q", spoken(c), what, c.CommandPath()+" --help")}
		}
		return nil
	}
}
