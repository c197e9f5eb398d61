// Package email notifies of incidents by mail.
//
// It owns the mail (headers, thread, both bodies) and the conversation with the mail
// server. It leaves the texts to pkg/notify, and to the user's templates.
//
// Its one rule: one incident is one thread, and text from elsewhere adds no header, no
// markup and no recipient.
package email

import (
	"context"
	_ "embed"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/wneessen/go-mail"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// Email sends an incident as mail: one thread per incident, so that its end is
// found beside its beginning.
type Email struct {
	name      string
	fallback  string
	from      *netmail.Address
	to        []*netmail.Address
	takes     []incident.Severity
	reference notify.QuickReference
	now       func() time.Time
	post      smarthost
	subject   *notify.Template // nil: one subject for the whole thread
	html      *notify.Template
	text      *notify.Template
	plain     *notify.Template // of ours: what goes out when one of the user's fails
}

var _ notify.Fallback = (*Email)(nil)

var (
	//go:embed email.txt
	emailText string
	//go:embed email.html
	emailHTML string
)

// New returns the receiver of a configured mail, or what is wrong with its secrets or addresses.
func New(c config.Email, about notify.QuickReference, now func() time.Time) (*Email, error) {
	post, err := newSmarthost(c)
	if err != nil {
		return nil, err
	}
	l := &Email{name: c.Name, fallback: c.FallbackFor, takes: c.Severities, reference: about, now: now, post: post}
	if l.from, err = netmail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	for _, a := range c.To {
		to, err := netmail.ParseAddress(a)
		if err != nil {
			return nil, fmt.Errorf("to: %w", err)
		}
		l.to = append(l.to, to)
	}
	for _, p := range []struct {
		name, text, ours string
		parse            func(string, ...string) (*notify.Template, error)
		to               **notify.Template
	}{{"subject", c.Subject, "", notify.ParseTemplate, &l.subject},
		{"html", c.HTML, emailHTML, notify.ParseHTML, &l.html},
		{"text", c.Text, emailText, notify.ParseTemplate, &l.text},
		{"text", "", emailText, notify.ParseTemplate, &l.plain}} {
		if p.text == "" {
			p.text = p.ours
		}
		if p.text == "" {
			continue
		}
		if *p.to, err = p.parse(p.text, about.Shared...); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return l, nil
}

// Name is the name of the receiver in the configuration.
func (l *Email) Name() string { return l.name }

// FallbackFor names the receiver that this one stands in for.
func (l *Email) FallbackFor() string { return l.fallback }

// Notify mails the incident if the recipients are to know of its state, in the thread of its first mail.
func (l *Email) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	state := notify.Firing(i)
	if prev.State == "" && (state == "resolved" || i.Shared || !notify.Wanted(i, l.takes) && !i.Paged) {
		return prev, nil
	}
	d := notify.News(i)
	if prev.Digest == d {
		return prev, nil
	}
	m, subject := l.write(ctx, i, prev, notify.MaxText)
	missed, err := l.post.send(ctx, l.from.Address, l.to, m)
	if tooLarge(err) {
		m, subject = l.write(ctx, i, prev, notify.MaxTextShort)
		missed, err = l.post.send(ctx, l.from.Address, l.to, m)
	}
	if err != nil {
		return prev, mailError(l.name, i, err)
	}
	if prev.Ref != "" && !notify.Rings(i, prev) {
		subject = prev.Ref
	}
	return incident.Receipt{Ref: subject, State: state, Digest: d, Error: missed,
		Severity: notify.Graver(prev.Severity, i.Severity)}, nil
}

// mailData is what a template of a mail sees: Alertmanager's data, and the incident
// in the texts of the other receivers.
type mailData struct {
	*template.Data
	Headline string
	Next     string // what is asked of the reader
	Answer   string // who took it on, or by when somebody has to
	Did      []string
	Reason   string
	Timeline []mailEntry
	Contacts []string
	Links    []config.Link
	Target   string
	OpenedAt time.Time
	ID       string
	Note     string // what was left out of this mail, and why
}

type mailEntry struct {
	At   time.Time
	Text string
}

// mailPart is a part of a text; a command is shown as one.
type mailPart struct {
	Command bool
	Text    string
}

// command is one of watchdog's in back quotes. What a stranger put between two back
// quotes is none, and stays as it is.
var command = regexp.MustCompile("`(watchdog [a-z]+ [^`]*)`")

// Parts takes the back quotes off the commands in a text of ours.
func (mailData) Parts(s string) []mailPart {
	var parts []mailPart
	done := 0
	for _, at := range command.FindAllStringSubmatchIndex(s, -1) {
		parts = append(parts, mailPart{Text: s[done:at[0]]}, mailPart{true, s[at[2]:at[3]]})
		done = at[1]
	}
	return append(parts, mailPart{Text: s[done:]})
}

func (l *Email) data(i incident.Incident, limit int) mailData {
	text := func(s string) string { return strutil.Shorten(strutil.Visible(s), limit) }
	quick := l.reference.Of(i)
	d := mailData{Data: notify.TemplateData(l.name, i, quick, notify.Firing(i), limit),
		Headline: text(notify.Headline(i)), Next: text(notify.Next(i)),
		Answer: text(notify.Answered(i)), Reason: text(notify.Reason(i)),
		Contacts: quick.Contacts, Links: quick.Links, Target: text(i.Target.String()), OpenedAt: i.OpenedAt.UTC(), ID: text(i.ID)}
	for _, kv := range []template.KV{d.GroupLabels, d.CommonLabels, d.CommonAnnotations} {
		clean(kv)
	}
	for _, a := range d.Alerts {
		clean(a.Labels)
		clean(a.Annotations)
	}
	for _, a := range notify.Actions(i) {
		d.Did = append(d.Did, text(a))
	}
	lines := i.Timeline[max(0, len(i.Timeline)-mailLines):]
	if limit <= notify.MaxTextShort {
		d.Did, lines = d.Did[max(0, len(d.Did)-2):], lines[max(0, len(lines)-2):]
		d.Note = "This mail is shortened: the mail server rejected the full text as too large."
	}
	for _, e := range lines {
		d.Timeline = append(d.Timeline, mailEntry{e.At.UTC(),
			strutil.Shorten(strutil.Visible(string(e.Kind)+": "+e.Text), min(limit, 240))})
	}
	return d
}

// maxSubject is what a telephone shows, and more.
const maxSubject = 180

// write makes the mail. What a template of the user's spoils is left out, and the
// rest goes out all the same.
func (l *Email) write(ctx context.Context, i incident.Incident, prev incident.Receipt, limit int) (*mail.Msg, string) {
	data := l.data(i, limit)
	short := limit <= notify.MaxTextShort
	failed := func(part string, err error) {
		data.Note = strings.TrimSpace(data.Note + " " +
			strutil.Visible(fmt.Sprintf("The %s template of receiver %s failed: %v", part, l.name, err)))
	}
	first := subjectOf(string(i.Severity) + " " + i.Title())
	subject := first
	switch {
	case prev.Ref != "" && notify.Rings(i, prev):
		// A subject of its own: "Re: P2 …" is read tomorrow.
		first = subjectOf(fmt.Sprintf("%s (was %s) %s", i.Severity, prev.Severity, i.Title()))
		subject = first
	case prev.Ref != "":
		first = prev.Ref
		subject = "Re: " + subjectOf(first)
	}
	if l.subject != nil && !short {
		if s, err := l.subject.Execute(ctx, data); err != nil {
			failed("subject", err)
		} else {
			subject = subjectOf(strings.TrimSpace(s))
		}
	}
	html, htmlErr := "", error(nil)
	text, textErr := "", error(nil)
	if !short {
		if html, htmlErr = l.html.Execute(ctx, data); htmlErr != nil {
			failed("html", htmlErr)
		}
		if text, textErr = l.text.Execute(ctx, data); textErr != nil {
			failed("text", textErr)
		}
	}
	if short || data.Note != "" {
		html = ""
		text, textErr = l.plain.Execute(ctx, data)
	}
	if textErr != nil {
		text = data.Headline + "\n" + data.Next + "\n"
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(l.from)
	m.ToMailAddress(l.to...)
	m.SetDateWithValue(l.now())
	m.Subject(subject)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader(mail.HeaderXAutoResponseSuppress, "All")
	m.SetGenHeader("X-Watchdog-Incident", notify.SafeID(i.ID))
	if (i.Severity == incident.P0 || i.Severity == incident.P1) && i.Phase != incident.Resolved {
		m.SetImportance(mail.ImportanceHigh)
	}
	root, own := l.ids(i, prev)
	m.SetMessageIDWithValue(own)
	if own != root {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+root+">")
		m.SetGenHeader(mail.HeaderReferences, "<"+root+">")
	}
	m.SetBodyString(mail.TypeTextPlain, text)
	if html != "" {
		m.AddAlternativeString(mail.TypeTextHTML, html)
	}
	return m, first
}

// subjectOf makes one line of text. What looks like an encoded word would be read as
// one, line breaks and all.
func subjectOf(s string) string {
	return strutil.Shorten(strings.ReplaceAll(strutil.Visible(s), "=?", "= ?"), maxSubject)
}

// ids are the Message-ID of the thread's first mail and of this one. The same news
// after the same mail has the same id: what arrives twice because an answer was lost
// is one mail for whoever looks at ids.
func (l *Email) ids(i incident.Incident, prev incident.Receipt) (root, own string) {
	_, domain, _ := strings.Cut(l.from.Address, "@")
	thread := notify.SafeID(i.ID)
	if i.Target.Name == incident.Self {
		thread += fmt.Sprintf(".%d", i.OpenedAt.Unix()) // what a replica tells of itself has one id each time
	}
	root = fmt.Sprintf("watchdog.%s@%s", thread, domain)
	if prev.State == "" {
		return root, root
	}
	return root, fmt.Sprintf("watchdog.%s.%s@%s", thread, notify.Digest([]any{prev.Digest, prev.At, notify.News(i)}), domain)
}

func clean(kv template.KV) {
	for k, v := range kv {
		kv[k] = strutil.Visible(v)
	}
}

// mailLines is how much of the timeline a mail shows.
const mailLines = 8

// Texts are the user's templates.
func Texts(c *config.Email) []notify.Text {
	return notify.Texts(notify.Text{Option: "subject", Text: c.Subject},
		notify.Text{Option: "html", Text: c.HTML}, notify.Text{Option: "text", Text: c.Text})
}
