package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/responder"
)

// publishing are the flags of `watchdog publish`.
type publishing struct {
	reason, until string
	holdFor       time.Duration
	release       bool
}

func newPublish() *cobra.Command {
	f, p := cluster{}, publishing{}
	c := &cobra.Command{
		Use:   "publish ID [--hold-for DURATION | --hold-until TIME | --release]",
		Short: "Publish an incident on the status page, or hold its updates",
		Long: `Publish approves the proposed post on the public status page (publish: ask). Later updates
of the same incident are posted without approval. The texts come from the configuration
and contain nothing of the incident.

With --hold-until or --hold-for, the page is not updated until then, not even when the
incident resolves. Afterwards the latest state is posted. --release ends a hold.

ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.`,
		Example: "  watchdog publish 01m869s2\n  watchdog publish 01m869s2 --hold-for 2h --reason \"legal looks at " +
			"the text\"\n  watchdog publish 01m869s2 --release",
		Args: exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.check(); err != nil {
				return err
			}
			r, err := p.request(args[0], time.Now())
			if err != nil {
				return err
			}
			return f.ask(c, r)
		},
	}
	f.register(c)
	c.Flags().StringVar(&p.reason, "reason", "", "reason; shown with the incident, never on the status page")
	c.Flags().StringVar(&p.until, "hold-until", "", "leave the page as it is until this time: "+momentHelp)
	c.Flags().DurationVar(&p.holdFor, "hold-for", 0, "do not update the page for this long")
	c.Flags().BoolVar(&p.release, "release", false, "end a hold")
	return c
}

// maxReason is what an incident takes over of one.
const maxReason = 1024

func (p publishing) check() error {
	n := 0
	for _, given := range []bool{p.until != "", p.holdFor != 0, p.release} {
		if given {
			n++
		}
	}
	switch {
	case n > 1:
		return misused{errors.New("--hold-until, --hold-for and --release exclude each other")}
	case len(p.reason) > maxReason:
		return misused{fmt.Errorf("--reason is longer than %d bytes", maxReason)}
	case p.holdFor < 0:
		return misused{fmt.Errorf("--hold-for %s lies in the past", p.holdFor)}
	case n == 1 && !p.release && strings.TrimSpace(p.reason) == "":
		return misused{errors.New("a hold requires --reason")}
	}
	return nil
}

// request is what the flags ask for.
func (p publishing) request(id string, now time.Time) (responder.Request, error) {
	r := responder.Request{Action: responder.Publish, Incident: id, Reason: p.reason, Release: p.release}
	switch {
	case p.holdFor > 0:
		r.Until = now.Add(p.holdFor)
	case p.until != "":
		until, err := parseTime(p.until, now)
		if err != nil {
			return r, misused{fmt.Errorf("--hold-until: %w", err)}
		}
		if !until.After(now) {
			return r, misused{fmt.Errorf("--hold-until %s lies in the past", p.until)}
		}
		r.Until = until
	}
	return r, nil
}
