package slack

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/alertmanager/template"
	"github.com/slack-go/slack"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// applyTemplates puts the user's templates in the place of the header and of what is said
// below it. What comes from alerts is escaped before, so that only the template
// itself can mention people or make links. One that fails leaves our words, and says so.
func (s *Slack) applyTemplates(ctx context.Context, i incident.Incident, blocks []slack.Block) {
	if s.title == nil && s.body == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, notify.TemplateTime) // for both: the message has to leave in time
	defer cancel()
	data := notify.TemplateData("slack", i, s.reference.Of(i), notify.Firing(i), notify.MaxText)
	for _, kv := range []template.KV{data.GroupLabels, data.CommonLabels, data.CommonAnnotations} {
		literally(kv)
	}
	for _, a := range data.Alerts {
		literally(a.Labels)
		literally(a.Annotations)
	}
	header, body := blocks[0].(*slack.HeaderBlock), blocks[1].(*slack.SectionBlock)
	if s.title != nil {
		if text, err := s.title.Execute(ctx, data); err != nil {
			body.Text.Text = failedTemplate(body.Text.Text, "title", err)
		} else if text = strings.TrimSpace(strutil.Visible(text)); text != "" {
			header.Text.Text = strutil.Shorten(text, maxHeader)
		}
	}
	if s.body != nil {
		if text, err := s.body.Execute(ctx, data); err != nil {
			body.Text.Text = failedTemplate(body.Text.Text, "text", err)
		} else if strings.TrimSpace(text) != "" {
			body.Text.Text = cutMarkup(text, maxSection)
		}
	}
}

func literally(kv template.KV) {
	for k, v := range kv {
		kv[k] = escape(v)
	}
}

func failedTemplate(body, which string, err error) string {
	note := escape(strutil.Shorten(fmt.Sprintf("\n(the template %s of receiver slack failed: %v)", which, err), 300))
	return cutMarkup(body, maxSection-len([]rune(note))) + note
}

// Texts are the user's templates.
func Texts(c *config.Slack) []notify.Text {
	return notify.Texts(notify.Text{Option: "title", Text: c.Title}, notify.Text{Option: "text", Text: c.Text})
}
