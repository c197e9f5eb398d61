package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/responder"
)

// ask sends a person's request to the service, under the name by which the API server
// knows them. It is the service that watchdog's replicas run, so that of two people who
// acknowledge at the same moment one has the incident, whichever way they ask.
func (f *cluster) ask(c *cobra.Command, r responder.Request) error {
	client, store, err := f.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	by, err := client.WhoAmI(ctx)
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	return f.send(ctx, c, kube.NewResponder(client, store), by, r)
}

// send is ask once the name is known.
func (f *cluster) send(ctx context.Context, c *cobra.Command, cluster kube.Responder, by string,
	r responder.Request) error {
	text, err := service(cluster).Do(ctx, responder.Person{Name: by}, r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), text)
	return err
}

// service writes with the rights of whoever runs the command: the API server decides at the
// write what they may, and the leader records the request once it takes it over.
func service(cluster kube.Responder) *responder.Service {
	return responder.New(responder.Options{
		Cluster: cluster,
		May:     func(context.Context, responder.Person, string) error { return nil },
		Record:  func(responder.AuditEvent) error { return nil },
		Count:   func(string, responder.Action, string) {},
		Now:     time.Now,
	})
}

// severities are those that there are, gravest first.
var severities = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}

func newAck() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:   "ack ID",
		Short: "Say that an incident is yours: nobody else is asked any more",
		Long: `Ack takes an incident on. Its deadline for an answer ends, and PagerDuty and Slack are
told who has it. The first word counts. watchdog goes on as before: to make it
keep its hands off, hold the workload. ID may be a unique beginning of the id, or
a target's name for its newest incident.

It is kept on the incident itself, so it works while watchdog is down. It takes the
right to patch incidents in watchdog's namespace.`,
		Example: "  watchdog ack 01m869s2 --reason \"looking at the database\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.ask(c, responder.Request{Action: responder.Ack, Incident: args[0], Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "what you are doing about it; shown with the incident")
	return c
}

func newDeny() *cobra.Command {
	f, plan, reason := cluster{}, "", ""
	c := &cobra.Command{
		Use:   "deny ID --reason WHY",
		Short: "Forbid a plan that watchdog asks about (mode approve)",
		Long: `Deny forbids the plan that an incident asks about, also after an approval, until the
write. watchdog goes on with the ladder's next rung. ID may be a unique beginning of
the id, or a target's name for its newest incident.`,
		Example: "  watchdog deny 01m869s2 --reason \"the database is the cause\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if reason == "" {
				return misused{errors.New("deny needs --reason: the next person will ask")}
			}
			return f.ask(c, responder.Request{Action: responder.Deny, Incident: args[0], Plan: plan, Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&plan, "plan", "", "beginning of the plan's hash; default: whatever is asked now")
	c.Flags().StringVar(&reason, "reason", "", "why; shown with the incident")
	return c
}

func newSeverity() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:   "severity ID (P0 | P1 | P2 | P3) --reason WHY",
		Short: "Change an incident's severity",
		Long: `Severity raises or lowers the severity of an open incident. watchdog itself only
raises it, when a graver rule fires. The deadline for an answer follows: a graver
severity moves it to an earlier time, never to a later one. A severity that a person
lowered is not raised again by a rule that had fired before.`,
		Example: "  watchdog severity 01m869s2 P3 --reason \"only the staging shop\"",
		Args:    exactly(2, "one ID and one severity"),
		RunE: func(c *cobra.Command, args []string) error {
			to := incident.Severity(strings.ToUpper(args[1]))
			switch {
			case !slices.Contains(severities, to):
				return misused{fmt.Errorf("%q is no severity: use P0, P1, P2 or P3", args[1])}
			case strings.TrimSpace(reason) == "":
				return misused{errors.New("severity needs --reason: the next person will ask")}
			}
			return f.ask(c, responder.Request{Action: responder.Grade, Incident: args[0], To: to, Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; shown with the incident")
	return c
}

func newNote() *cobra.Command {
	f, as := cluster{}, ""
	c := &cobra.Command{
		Use:   "note ID TEXT",
		Short: "Write something down on an incident's timeline",
		Long: `Note adds a line to the timeline of an open incident, and so to its review.
--as hypothesis says what may be the cause, --as decision what is to be done: the
phases of a response wait for them (docs/response.md).`,
		Example: "  watchdog note 01m869s2 \"customers in Chile are not affected\"\n  watchdog note 01m869s2 --as " +
			"hypothesis \"the release of 14:02 dropped an index\"",
		Args: exactly(2, "one ID and one text"),
		RunE: func(c *cobra.Command, args []string) error {
			if as != "" && as != "hypothesis" && as != "decision" {
				return misused{fmt.Errorf("--as %q: use hypothesis or decision, or leave it out", as)}
			}
			return f.ask(c, responder.Request{Action: responder.Note, Incident: args[0], As: as, Reason: args[1]})
		},
	}
	f.register(c)
	c.Flags().StringVar(&as, "as", "", "hypothesis or decision")
	return c
}
