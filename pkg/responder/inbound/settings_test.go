package inbound

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/config"
)

func TestASecretOfAButtonThatIsMissingIsAnErrorAtStart(t *testing.T) {
	cfg := &config.Config{Receivers: config.Receivers{
		Slack: &config.Slack{Interaction: &config.SlackInteraction{SigningSecretFile: "/nowhere/a",
			AppTokenFile: "/nowhere/b"}},
		PagerDuty: &config.PagerDuty{Webhook: &config.PagerDutyWebhook{SecretFiles: []string{"/nowhere/c"}}},
	}}
	err := NewSettings(cfg).Check()
	for _, want := range []string{"signing_secret_file: secret file /nowhere/a: file does not exist",
		"app_token_file", "/nowhere/c"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
