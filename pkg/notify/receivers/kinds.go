package receivers

import (
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/email"
	"watchdog.io/watchdog/pkg/notify/pagerduty"
	"watchdog.io/watchdog/pkg/notify/slack"
	"watchdog.io/watchdog/pkg/notify/statuspage"
	"watchdog.io/watchdog/pkg/notify/webhook"
)

// Kind is one kind of receiver. Whoever adds one adds a package below pkg/notify, a row
// here and its options in pkg/config (receiver.go); TestEveryReceiverIsKnownEverywhere
// reports what else must know it.
type Kind struct {
	Name     string   // of its package, and of its recorder in tests
	Title    string   // as documents call it
	Sections []string // its keys below receivers in a configuration
	Help     string   // what it does
	// Acknowledged is which answer counts as delivered.
	Acknowledged string
	Wakes        bool // it may wake somebody
	// Keyed: the other side knows a message by its key, so that one whose answer was lost arrives once.
	Keyed bool
	// Shortens: a refusal by 400 may be for the size, so that the message is sent once more, with less in it.
	Shortens bool
	// Shared: it is also notified of an incident that is part of another one. A message in a channel wakes nobody, and
	// shows why watchdog leaves the target alone.
	Shared bool

	// build makes a receiver of options of the kind.
	build func(r config.Receiver, shared Shared) (notify.Notifier, error)
	// texts are the user's templates in options of the kind; nil: it has none.
	texts func(r config.Receiver) []notify.Text
}

// Shared is what receivers of all kinds are built with.
type Shared struct {
	Reference notify.QuickReference
	Now       func() time.Time
}

// Kinds are all kinds of receivers, in the order in which they are built.
func Kinds() []Kind {
	return []Kind{
		{
			Name: "pagerduty", Title: "PagerDuty", Sections: []string{"pagerduty", "pagers"}, Wakes: true,
			Keyed: true, Shortens: true,
			Help:         "pages the on-call: one alert per incident and severity, Events API v2",
			Acknowledged: "202 for each event",
			build: func(r config.Receiver, s Shared) (notify.Notifier, error) {
				return pagerduty.New(r.Name, pager(r), s.Reference)
			},
			texts: func(r config.Receiver) []notify.Text { return pagerduty.Texts(pager(r)) },
		},
		{
			Name: "slack", Title: "Slack", Sections: []string{"slack"}, Shared: true,
			Help:         "posts one message per incident, edited in place, with a thread",
			Acknowledged: "200 with `ok: true`, and the time stamp of the message",
			build: func(r config.Receiver, s Shared) (notify.Notifier, error) {
				return slack.New(r.Options.(*config.Slack), s.Reference, s.Now)
			},
			texts: func(r config.Receiver) []notify.Text { return slack.Texts(r.Options.(*config.Slack)) },
		},
		{
			Name: "webhook", Title: "Webhooks", Sections: []string{"webhooks"}, Wakes: true,
			Keyed: true, Shortens: true,
			Help:         "sends a POST in Alertmanager's webhook format, or with a template",
			Acknowledged: "any 2xx",
			build: func(r config.Receiver, s Shared) (notify.Notifier, error) {
				return webhook.New(*r.Options.(*config.Webhook), s.Reference)
			},
			texts: func(r config.Receiver) []notify.Text { return webhook.Texts(r.Options.(*config.Webhook)) },
		},
		{
			Name: "email", Title: "E-mail", Sections: []string{"emails"}, Keyed: true,
			Help:         "sends mail: one thread per incident",
			Acknowledged: "250 after the text, from the mail server, for at least one recipient",
			build: func(r config.Receiver, s Shared) (notify.Notifier, error) {
				return email.New(*r.Options.(*config.Email), s.Reference, s.Now)
			},
			texts: func(r config.Receiver) []notify.Text { return email.Texts(r.Options.(*config.Email)) },
		},
		{
			Name: "statuspage", Title: "Status page", Sections: []string{"statuspage"}, Keyed: true,
			Help:         "posts to the public status page, once a person has published the incident",
			Acknowledged: "any 2xx, with the id of the entry",
			build: func(r config.Receiver, s Shared) (notify.Notifier, error) {
				return statuspage.New(r.Options.(*config.Statuspage), s.Now)
			},
		},
	}
}

// KindOf returns the kind of a configured receiver.
func KindOf(r config.Receiver) (Kind, bool) {
	all := Kinds()
	k := slices.IndexFunc(all, func(k Kind) bool { return slices.Contains(k.Sections, r.Section) })
	if k < 0 {
		return Kind{}, false
	}
	return all[k], true
}

// pager are the options of a service of PagerDuty, the first or a further one.
func pager(r config.Receiver) *config.PagerDuty {
	if p, further := r.Options.(*config.Pager); further {
		return &p.PagerDuty
	}
	return r.Options.(*config.PagerDuty)
}
