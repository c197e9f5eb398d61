package notify

import (
	"context"
	"encoding/json"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// X45: half an entity hides all that follows it in Slack.
func TestATextIsNeverCutWithinWhatBelongsTogether_X45(t *testing.T) {
	entity := regexp.MustCompile(`&(amp|lt|gt);`)
	for _, piece := range []string{"&", "<", "a&b", "äöü&", "🚨&", "x>y ", "`watchdog why 1` ", "\n&&"} {
		text := strings.Repeat(escape(strings.ReplaceAll(piece, "\n", " ")), 2000)
		for n := 40; n < 70; n++ {
			got := cutMarkup(text, n)
			if len(utf16.Encode([]rune(got))) > n || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
				t.Fatalf("%q at %d: %q", piece, n, got)
			}
			if rest := entity.ReplaceAllString(got, ""); strings.ContainsAny(rest, "&") || strings.Count(got, "`")%2 != 0 {
				t.Errorf("%q at %d: %q", piece, n, got)
			}
		}
	}
	link := "see <https://example.com/a|the dashboard> "
	for n := 10; n < 60; n++ {
		if got := cutMarkup(strings.Repeat(link, 3), n); strings.Count(got, "<") != strings.Count(got, ">") {
			t.Errorf("%d: %q", n, got)
		}
	}
	if got := cutMarkup("short &amp; whole", 17); got != "short &amp; whole" {
		t.Errorf("%q", got)
	}
}

func TestAMessageInSlackIsWholeHoweverLongItIs_X45(t *testing.T) {
	i := trouble()
	i.Alerts[0].Was = strings.Repeat("&", 700)
	for range 5 {
		i.Attempts = append(i.Attempts, incident.Attempt{Summary: strings.Repeat("a&", 90), Verdict: incident.NoEffect})
	}
	body := slackBody(i, t0)
	if rest := strings.TrimSuffix(body, "…"); html.EscapeString(html.UnescapeString(rest)) != strings.ReplaceAll(rest, "'", "&#39;") || len([]rune(body)) > maxSection {
		t.Errorf("%d characters, ending in %q", len([]rune(body)), body[len(body)-40:])
	}
}

// X42: a quote in an alert made a body that is no JSON, which was refused for good: that
// page was lost.
func TestABodyThatIsNoJSONIsAFailedTemplate_X42(t *testing.T) {
	for _, tt := range []struct {
		name, body, kind string
		plain            bool
	}{
		{"a text between quotes", `{"text":"{{ .CommonAnnotations.headline }}"}`, "", true},
		{"a text by toJson", `{"text":{{ .CommonAnnotations.headline | toJson }}}`, "", false},
		{"nothing at all", `{{ if false }}x{{ end }}`, "application/json; charset=utf-8", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, hook := receiver(t, config.Webhook{Body: tt.body, ContentType: tt.kind})
			i := trouble()
			i.Alerts[0].Was = "path \"/cart\\checkout\"\nis slow"
			tell(t, hook, i, incident.Receipt{})
			var all []string
			for _, q := range rec.Snapshot().Requests {
				all = append(all, string(q.Body))
			}
			if len(all) != 1 {
				t.Fatalf("%d requests", len(all))
			}
			if failed := strings.Contains(all[0], "no JSON"); failed != tt.plain {
				t.Errorf("%s", all[0])
			}
			if !json.Valid([]byte(all[0])) {
				t.Errorf("no JSON: %s", all[0])
			}
			if !strings.Contains(all[0], "shop") && tt.body[0] == '{' && tt.plain {
				t.Errorf("it does not say what is the matter: %s", all[0])
			}
		})
	}
}

// X43: texts that were written for Alertmanager find the names that it has by default.
func TestAlertmanagersDefaultTemplatesAreThere_X43(t *testing.T) {
	for _, name := range []string{"__subject", "slack.default.title", "slack.default.text", "pagerduty.default.description", "opsgenie.default.message", "telegram.default.message", "discord.default.message", "msteamsv2.default.text", "email.default.subject"} {
		text := `{{ template "` + name + `" . }}`
		b, err := parseBody(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.execute(context.Background(), hookData("slack", trouble(), about{}, "firing", maxText))
		if err != nil || !strings.Contains(got, "shop") && !strings.Contains(got, "error_rate") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if missing := undefined(text, nil); len(missing) > 0 {
			t.Errorf("%s: %v", name, missing)
		}
	}
	b, err := parseHTML(`{{ template "email.default.html" . }}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.execute(context.Background(), mailData{Data: hookData("mail", trouble(), about{}, "firing", maxText)}); err != nil || !strings.Contains(got, "31% &gt; 5%") {
		t.Errorf("%q, %v", got, err)
	}
	// The user's own definition counts.
	b, err = parseBody(`{{ template "slack.default.title" . }}`, `{{ define "slack.default.title" }}mine{{ end }}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.execute(context.Background(), hookData("slack", trouble(), about{}, "firing", maxText)); err != nil || got != "mine" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestACallOfATemplateThatIsNowhereIsFound_X43(t *testing.T) {
	shared := []string{`{{ define "a" }}{{ if .X }}{{ template "gone" . }}{{ else }}{{ range .Alerts }}{{ template "lost" . }}{{ end }}{{ end }}{{ end }}{{ define "unused" }}{{ template "nowhere" . }}{{ end }}`}
	if got := undefined(`{{ with .Alerts }}{{ template "a" . }}{{ end }}{{ define "b" }}{{ template "b" . }}{{ end }}{{ template "b" . }}`, shared); !slices.Equal(got, []string{"gone", "lost"}) {
		t.Errorf("%v", got)
	}
}
