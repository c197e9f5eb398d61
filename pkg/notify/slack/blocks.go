package slack

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/strutil"
)

// Slack's limits, less a margin for what cutting adds.
const (
	maxHeader  = 140  // of 150
	maxSection = 2900 // of 3000
	maxConfirm = 280  // of 300
	maxQuick   = 600  // for the quick reference
)

// slackMessage returns the fallback line and the blocks. They hold nothing that
// changes without news, so that a quiet incident is not edited.
func slackMessage(i incident.Incident, quick notify.QuickReference, buttons bool,
	now time.Time) (text string, blocks []slack.Block) {
	blocks = append(blocks,
		slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, slackHeader(i), true, false)),
		slack.NewSectionBlock(markdown(slackBody(i, now)), nil, nil))
	if i.Asked != nil {
		blocks = append(blocks, slack.NewSectionBlock(markdown(slackPlan(*i.Asked)), nil, nil))
	}
	if buttons {
		if all := slackButtons(i); len(all) > 0 {
			blocks = append(blocks, slack.NewActionBlock("buttons", all...))
		}
	}
	place := fmt.Sprintf("`watchdog why %s`  ·  %s  ·  since %s UTC", escape(i.ID), escape(i.Target.String()),
		i.OpenedAt.UTC().Format("2006-01-02 15:04:05"))
	notes := []slack.MixedElement{markdown(cutMarkup(place, maxQuick))}
	for _, line := range quickLines(quick) {
		notes = append(notes, markdown(line))
	}
	return cutMarkup(escape(notify.Headline(i)), 300), append(blocks, slack.NewContextBlock("", notes...))
}

// markdown is verbatim: else Slack itself makes links and mentions of what looks
// like them.
func markdown(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

// slackHeader is plain text, in which nothing is a link or a mention. What could
// look like markup in it is left out all the same.
func slackHeader(i incident.Incident) string {
	name := everybody.ReplaceAllString(strings.NewReplacer("&", " ", "<", " ", ">", " ",
		":", " ").Replace(strutil.Visible(i.Target.Name)), "@\u200b$1")
	return strutil.Shorten(fmt.Sprintf("%s %s %s: %s", icon(i), i.Severity, notify.Status(i), name), maxHeader)
}

// slackBody is what is the matter, what comes next, what was done and why no more.
func slackBody(i incident.Incident, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%s*\n%s\n", escape(strutil.Shorten(i.Title(), 600)), escape(strutil.Shorten(slackNext(i), 600)))
	if all := notify.AlertsShown(i); len(all) > 0 && i.Phase != incident.Resolved {
		for _, line := range []string{notify.Object(all[0]), strutil.Visible(notify.Description(all[0]))} {
			if line != "" {
				fmt.Fprintf(&b, "%s\n", escape(strutil.Shorten(line, 400)))
			}
		}
	}
	if a := notify.Answered(i); a != "" {
		fmt.Fprintf(&b, "%s\n", escape(strutil.Shorten(a, 300)))
	}
	for _, line := range []string{notify.Maintained(i), i.PublicLine(now)} {
		if line != "" {
			fmt.Fprintf(&b, "%s\n", escape(strutil.Shorten(line, 300)))
		}
	}
	all := notify.Actions(i)
	for _, a := range all[max(0, len(all)-5):] {
		fmt.Fprintf(&b, "• %s\n", escape(strutil.Shorten(a, 200)))
	}
	// The reason of the request is shown beside the plan.
	if r := notify.Reason(i); r != "" && i.Asked == nil {
		fmt.Fprintf(&b, "_Why:_ %s\n", escape(strutil.Shorten(r, 400)))
	}
	return cutMarkup(strings.TrimSuffix(b.String(), "\n"), maxSection)
}

// slackNext leaves the plan to its own section.
func slackNext(i incident.Incident) string {
	if i.Asked == nil {
		return notify.Next(i)
	}
	return fmt.Sprintf("Approval requested until %s. On the command line: `%s`, or `watchdog deny %s --reason WHY`",
		i.Asked.Until.UTC().Format("15:04 UTC, 2 Jan"), i.ApproveCommand(), i.ID)
}

// slackPlan is what an approver has to know.
func slackPlan(r incident.Request) string {
	p := r.Plan
	lines := []string{fmt.Sprintf("*Plan* `%s`: %s", escape(fmt.Sprintf("%.12s", p.Hash)),
		escape(strutil.Shorten(p.Summary, 600)))}
	object := fmt.Sprintf("%s %s/%s", p.Object.Resource, p.Object.Namespace, p.Object.Name)
	if p.Field != "" {
		object += fmt.Sprintf(": %s from %s to %s", p.Field, strutil.Shorten(p.Before, 100),
			strutil.Shorten(p.After, 100))
	}
	lines = append(lines, escape(strutil.Shorten(object, 600)))
	facts := []string{fmt.Sprintf("disrupts at most %d pods", p.Price)}
	if p.Lease > 0 {
		facts = append(facts, fmt.Sprintf("reverted after %s", p.Lease))
	} else if p.Is != "" {
		facts = append(facts, "reverted if pods or endpoints are lost")
	} else if p.Undoable() {
		facts = append(facts, "can be undone")
	}
	if r.Quorum > 1 {
		facts = append(facts, fmt.Sprintf("requires %d approvers", r.Quorum))
	}
	if r.CoolOff > 0 {
		facts = append(facts, fmt.Sprintf("waits %s for objections", r.CoolOff))
	}
	lines = append(lines, strings.Join(facts, "  ·  "))
	if r.Why != "" {
		lines = append(lines, "_"+escape(strutil.Shorten(strings.ReplaceAll(r.Why, "_", " "), 400))+"_")
	}
	return cutMarkup(strings.Join(lines, "\n"), maxSection)
}

// slackButtons are the actions that make sense now.
func slackButtons(i incident.Incident) []slack.BlockElement {
	if i.Phase == incident.Resolved {
		return nil
	}
	b := responder.Button{Incident: i.ID}
	button := func(verb responder.Action, label string, style slack.Style) *slack.ButtonBlockElement {
		b.Action = verb
		e := slack.NewButtonBlockElement(b.ActionID(), b.Value(),
			slack.NewTextBlockObject(slack.PlainTextType, label, false, false))
		e.Style = style
		return e
	}
	var all []slack.BlockElement
	if r := i.Asked; r != nil {
		b.Op, b.Plan = r.Op, r.Plan.Hash
		yes, no := button(responder.Approve, "Approve", slack.StylePrimary), button(responder.Deny,
			"Deny", slack.StyleDanger)
		yes.Confirm = confirm("Approve this plan?",
			escape(strutil.Shorten(r.Plan.Summary, 200))+"\n"+escape(fmt.Sprintf("Plan %.12s", r.Plan.Hash)), "Approve")
		no.Confirm = confirm("Deny this plan?", "watchdog will not request it again in this incident.", "Deny")
		all = append(all, yes, no)
		b.Op, b.Plan = "", ""
	}
	if i.Acked.At.IsZero() {
		all = append(all, button(responder.Ack, "Acknowledge", slack.StyleDefault))
	}
	if i.Target.Workload != "" && i.Target.Kind != "" && i.Phase != incident.Suppressed {
		hold := button(responder.Hold, "Hold", slack.StyleDefault)
		hold.Confirm = confirm("Hold this workload?", "watchdog takes no action on it until the hold is lifted.", "Hold")
		all = append(all, hold)
	}
	if i.Target.Workload != "" && !i.OnHoldSince.IsZero() {
		resume := button(responder.Resume, "Resume", slack.StyleDefault)
		resume.Confirm = confirm("Resume this workload?",
			"Lifts the hold and the quarantine; watchdog may act on it again.", "Resume")
		all = append(all, resume)
	}
	if slices.ContainsFunc(i.Attempts, func(a incident.Attempt) bool {
		return a.Action == incident.ActionScale && a.Verdict != incident.Aborted
	}) {
		undo := button(responder.Undo, "Undo", slack.StyleDanger)
		undo.Confirm = confirm("Revert the change?",
			"watchdog reverts its change now instead of when the lease expires.", "Undo")
		all = append(all, undo)
	}
	if i.Receipts[incident.PublicReceiver].Proposed && !i.Public.Publish {
		publish := button(responder.Publish, "Publish", slack.StyleDefault)
		publish.Confirm = confirm("Publish this incident?",
			"The proposed post and all later updates appear on the public status page.", "Publish")
		all = append(all, publish)
	}
	return append(all, button(responder.Why, "Why?", slack.StyleDefault))
}

func confirm(title, text, yes string) *slack.ConfirmationBlockObject {
	plain := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
	}
	return slack.NewConfirmationBlockObject(plain(title), markdown(cutMarkup(text, maxConfirm)), plain(yes),
		plain("Cancel"))
}

// quickLines is the quick reference as Slack shows it: whole links only.
func quickLines(a notify.QuickReference) []string {
	var lines []string
	if len(a.Contacts) > 0 {
		lines = append(lines, cutMarkup(escape(strings.Join(a.Contacts, "  ·  ")), maxQuick))
	}
	links := ""
	for _, l := range a.Links {
		sep := "  ·  "
		if links == "" {
			sep = ""
		}
		one := fmt.Sprintf("%s<%s|%s>", sep, escapeURL(l.URL), escape(strings.ReplaceAll(l.Name, "|", "/")))
		if len(links)+len(one) > maxQuick {
			break
		}
		links += one
	}
	if links != "" {
		lines = append(lines, links)
	}
	return lines
}

// slackThread returns the entries of the timeline beyond the first posted ones, and
// how many those are then. Much at once is one message.
func slackThread(i incident.Incident, posted int) (string, int) {
	all := i.Dropped + len(i.Timeline)
	var lines []string
	for _, e := range i.Timeline[min(len(i.Timeline), max(0, posted-i.Dropped)):] {
		if !slices.Contains(quiet, e.Kind) {
			lines = append(lines, fmt.Sprintf("`%s` *%s* %s", e.At.UTC().Format(time.TimeOnly),
				escape(strutil.Shorten(string(e.Kind), 40)), escape(strutil.Shorten(e.Text, 300))))
		}
	}
	if posted >= all || len(lines) == 0 {
		return "", max(posted, all)
	}
	if n := len(lines) - threadLines; n > 0 {
		lines = append(lines[:threadLines], fmt.Sprintf("and %d more: `watchdog why %s`", n, escape(i.ID)))
	}
	return cutMarkup(strings.Join(lines, "\n"), maxSection), all
}

// quiet are the kinds of entries that are only of use in the whole record.
var quiet = []incident.Kind{incident.KindHeld}

// threadLines is how much of the timeline one message takes.
const threadLines = 20
