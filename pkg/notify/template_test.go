package notify

import (
	"context"
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
)

// X43: texts that were written for Alertmanager find the names that it has by default.
func TestAlertmanagersDefaultTemplatesAreThere_X43(t *testing.T) {
	for _, name := range []string{"__subject",
		"slack.default.title", "slack.default.text", "pagerduty.default.description", "opsgenie.default.message",
		"telegram.default.message", "discord.default.message", "msteamsv2.default.text", "email.default.subject"} {
		text := `{{ template "` + name + `" . }}`
		b, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Execute(context.Background(), TemplateData("slack", notifytest.Trouble(), QuickReference{},
			"firing", MaxText))
		if err != nil || !strings.Contains(got, "shop") && !strings.Contains(got, "error_rate") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if missing := UndefinedNames(text, nil); len(missing) > 0 {
			t.Errorf("%s: %v", name, missing)
		}
	}
	// The user's own definition counts.
	b, err := ParseTemplate(`{{ template "slack.default.title" . }}`, `{{ define "slack.default.title" }}mine{{ end }}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Execute(context.Background(), TemplateData("slack", notifytest.Trouble(), QuickReference{},
		"firing", MaxText)); err != nil || got != "mine" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestACallOfATemplateThatIsNowhereIsFound_X43(t *testing.T) {
	shared := []string{`{{ define "a" }}{{ if .X }}{{ template "gone" . }}{{ else }}{{ range .Alerts }}{{ template ` +
		`"lost" . }}{{ end }}{{ end }}{{ end }}{{ define "unused" }}{{ template "nowhere" . }}{{ end }}`}
	if got := UndefinedNames(`{{ with .Alerts }}{{ template "a" . }}{{ end }}{{ define "b" }}{{ template "b" . }}{{ `+
		`end }}{{ template "b" . }}`, shared); !slices.Equal(got, []string{"gone", "lost"}) {
		t.Errorf("%v", got)
	}
}
