package slack

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"watchdog.io/watchdog/internal/notifytest"
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
	i := notifytest.Trouble()
	i.Alerts[0].Was = strings.Repeat("&", 700)
	for range 5 {
		i.Attempts = append(i.Attempts, incident.Attempt{Summary: strings.Repeat("a&", 90), Verdict: incident.NoEffect})
	}
	body := slackBody(i, notifytest.T0)
	rest := strings.TrimSuffix(body, "…")
	if html.EscapeString(html.UnescapeString(rest)) != strings.ReplaceAll(rest, "'", "&#39;") || len([]rune(body)) > maxSection {
		t.Errorf("%d characters, ending in %q", len([]rune(body)), body[len(body)-40:])
	}
}
