package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestAnInlinedSecretIsNeverShown_S19: each piece of a file has a secret, and something
// wrong beside it, in it or after it.
func TestAnInlinedSecretIsNeverShown_S19(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		show string // stays visible in the excerpt
	}{
		"a key that is not known": {"receivers:\n  slack:\n    token: xoxb-hunter2\n    channel: c\n",
			"token: <hidden>"},
		"a routing key": {"receivers:\n  pagerduty:\n    routing_key: hunter2hunter2\n",
			"routing_key: <hidden>"},
		"an API key in camel case": {"receivers:\n  pagerduty:\n    apiKey: \"hunter2\"\n",
			"apiKey: <hidden>"},
		"a password in one line": {"prometheus: {url: http://p, basic_auth: {username: me, password: " +
			"hunter2}}\n", "username: me, password: <hidden>}}"},
		"JSON": {`{"prometheus":{"url":"http://p","basic_auth":{"username":"me","password":"hunter2, really"}}}` + "\n",
			`"username":"me","password":<hidden>}`},
		"a list where a word belongs": {"receivers:\n  slack:\n    channel: c\n    token_file: [hunter2x]\n  " +
			"  secret: [hunter2, hunter2]\n", "secret: <hidden>"},
		"a mapping where a word belongs": {"receivers:\n  slack:\n    token: {a: hunter2}\n", "token: <hidden>"},
		"a value of the wrong kind": {"guards:\n  max_replicas: 5\nbudget:\n  password: hunter2\n",
			"password: <hidden>"},
		"a block scalar": {"receivers:\n  slack:\n    token: |\n      hunter2\n\n      " +
			"hunter2-again\n    channel: c\n    wrong: 1\n", "channel: c"},
		"a block scalar in broken YAML": {"receivers:\n  slack:\n    token: |\n      hunter2\n\n      " +
			"hunter2-again\n   channel: c\n", "channel: c"},
		"a folded scalar with an indent": {"receivers:\n  slack:\n    token: >-2\n        hunter2\n      " +
			"hunter2\n    wrong: 1\n", "wrong: 1"},
		"a quote over two lines": {"receivers:\n  slack:\n    token: \"a\n      hunter2\"\n    wrong: 1\n",
			"wrong: 1"},
		"a plain value over two lines": {"receivers:\n  slack:\n    token: a\n      hunter2\n    wrong: 1\n",
			"wrong: 1"},
		"a value below its key": {"receivers:\n  slack:\n    token:\n      hunter2\n    wrong: 1\n",
			"wrong: 1"},
		"a list below its key": {"receivers:\n  slack:\n    tokens:\n    - hunter2\n    wrong: 1\n",
			"wrong: 1"},
		"credentials of authorization": {"prometheus:\n  url: http://p\n  authorization:\n    type: Bearer\n  " +
			"  credentials: hunter2\n", "type: Bearer"},
		"a header": {"receivers:\n  webhooks:\n    - name: a\n      url: http://a\n      " +
			"wrong: 1\n      headers: {Authorization: Bearer hunter2}\n", "headers: {Authorization: <hidden>}"},
		"a header with a token": {"receivers:\n  webhooks:\n    - name: a\n      url: http://a\n      " +
			"headers:\n        X-Auth-Token: hunter2\n      wrong: 1\n", "X-Auth-Token: <hidden>"},
		"Slack's webhook": {"receivers:\n  webhooks:\n    - name: a\n      url: " +
			"https://hooks.slack.com/services/T0/B0/hunter2\n      wrong: 1\n",
			"url: https://hooks.slack.com/services/<hidden>"},
		"a heartbeat": {"heartbeat:\n  url: https://hc-ping.com/hunter2-9\n  interval: fast\n",
			"url: https://hc-ping.com/<hidden>"},
		"a URL with userinfo": {"prometheus:\n  url: http://me:hunter2@p:9090/x\n",
			"url: http://<hidden>@p:9090/x"},
		"a URL with an @ in its password": {"prometheus:\n  url: http://me:a@hunter2@p:9090/x\n",
			"url: http://<hidden>@p:9090/x"},
		"a URL with a token": {"heartbeat:\n  url: " +
			"https://beat.example.com/ping?a=b&token=hunter2\n  interval: fast\n", "?a=b&token=<hidden>"},
		"a bearer under a key that is plain": {"targets:\n  - name: Bearer hunter2x\n    namespace: n\n    " +
			"workload: deployment/a\n", "name: Bearer <hidden>"},
		"an alias": {"x: &it hunter2\nreceivers:\n  slack:\n    channel: c\n    token: *it\n",
			"token: <hidden>"},
		"an anchor that is not there": {"receivers:\n  slack:\n    channel: c\n    token: *hunter2\n",
			"token: <hidden>"},
		"a comment": {"receivers:\n  slack:\n    # token: hunter2\n    wrong: 1\n",
			"# token: <hidden>"},
		"broken YAML after it": {"receivers:\n  slack:\n    token: hunter2\n   channel: c\n",
			"token: <hidden>"},
		"broken YAML in it": {"receivers:\n  slack:\n    token: hunter2: x\n", "token: <hidden>"},
		"a tab after it": {"receivers:\n  slack:\n    token: hunter2\n\tchannel: c\n",
			"token: <hidden>"},
		"an environment variable": {"extra:\n  - name: DB_PASSWORD\n    value: hunter2\n",
			"value: <hidden>"},
		"a short secret": {"budget:\n  password: h2\n  concurrent: h2\n", "password: <hidden>"},
		"Windows' line ends": {"receivers:\r\n  slack:\r\n    token: hunter2\r\n    channel: c\r\n",
			"token: <hidden>"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(tc.text))
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("it is taken: %v", err)
			}
			excerpt := all.Excerpt([]byte(tc.text))
			if said := excerpt + fmt.Sprintf("%+v", all); strings.Contains(said, "hunter") ||
				strings.Contains(said, `"h2"`) {
				t.Errorf("shown:\n%s\n%v", excerpt, err)
			}
			// The wrong line is shown with its neighbours; all lines follow the same rule.
			var every Errors
			for n := range strings.Count(tc.text, "\n") {
				every = append(every, Problem{Line: n + 1, Column: 1})
			}
			if said := every.Excerpt([]byte(tc.text)); strings.Contains(said, "hunter") ||
				!strings.Contains(said, tc.show) {
				t.Errorf("want %q, and no secret:\n%s", tc.show, said)
			}
		})
	}
}

// TestTheYAMLLibraryQuotesNoSecret_S19 puts a secret where a value of another kind belongs.
func TestTheYAMLLibraryQuotesNoSecret_S19(t *testing.T) {
	for _, text := range []string{
		"targets: hunter2\nx: {token: hunter2}\n",
		"evaluation_interval: hunter2\nx: {token: hunter2}\n",
		"budget: {concurrent: hunter2-and-much-more}\nx: {token: hunter2-and-much-more}\n",
		"mode: hunter2\nx:\n  token: |\n    hunter2\n",
		"mode: \"hunter2\\\"\\n\"\nx: {token: \"hunter2\\\"\\n\"}\n",
	} {
		_, err := Parse("x.yaml", []byte(text))
		if err == nil || strings.Contains(err.Error(), "hunter") || !strings.Contains(err.Error(), hiddenText) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAPartOfASecretIsNotQuotedAtItsPlace_S19: the libraries quote what they stumbled
// over.
func TestAPartOfASecretIsNotQuotedAtItsPlace_S19(t *testing.T) {
	text := []byte("a: {token: 5hunter2, b: 5h}\n")
	all := []Problem{
		{Line: 1, Column: 12, Message: `unknown unit "hunter" in duration "5hunter2"`},
		{Path: "a.token", Message: `unknown unit "hunter" in duration "5hunter2"`},
		{Path: "a.tokens[3]", Message: "not a number: `hunter`"},
		{Line: 1, Column: 25, Path: "a.b", Message: `unknown unit "x"`},
	}
	newHider(text, secretsOf(text)).problems(all)
	for i, want := range []string{`unknown unit "<hidden>" in duration "<hidden>"`,
		`unknown unit "<hidden>" in duration "<hidden>"`, `not a number: "<hidden>"`, `unknown unit "x"`} {
		if all[i].Message != want {
			t.Errorf("%s, want %s", all[i].Message, want)
		}
	}
}

func TestTheCaretStaysAtItsPlace_S19(t *testing.T) {
	text := "a: {password: hunter2hunter2hunter2, mode: yolo}\n"
	e := Errors{{Line: 1, Column: strings.Index(text, "yolo") + 1},
		{Line: 1, Column: strings.Index(text, "hunter") + 3}}
	lines := strings.Split(e.Excerpt([]byte(text)), "\n")
	for i, want := range []string{"yolo", hiddenText} {
		if at := strings.Index(lines[4*i+2], "^"); at != strings.Index(lines[4*i+1], want) {
			t.Errorf("the caret is not below %s:\n%s\n%s", want, lines[4*i+1], lines[4*i+2])
		}
	}
}

// TestAFileFullOfSecretsShowsNone_S19: there are more secrets than a text is searched
// for, in lines and in one long line.
func TestAFileFullOfSecretsShowsNone_S19(t *testing.T) {
	var lines, flow strings.Builder
	for n := range maxSecrets + 1 {
		fmt.Fprintf(&lines, "  - token: hunter2-%d\n", n)
		fmt.Fprintf(&flow, "{x: y, token: hunter2-%d}, ", n)
	}
	for name, text := range map[string]string{"lines": "a:\n" + lines.String(), "one line": "a: [" + flow.String() +
		"]\n"} {
		text += "evaluation_interval: hunter2-7\n"
		_, err := Parse("x.yaml", []byte(text))
		var all Errors
		if !errors.As(err, &all) || strings.Contains(all.Error(), "hunter") ||
			!strings.Contains(all.Error(), hiddenText) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysOfOrdinaryMeaningAreShown_S19(t *testing.T) {
	for _, line := range []string{
		"token_file: /etc/watchdog/secrets/slack/token",
		"routing_key_file: /etc/watchdog/secrets/pagerduty/key",
		"secret_files: [/etc/watchdog/secrets/pagerduty/hook]",
		"tls_config: {key_file: /k, cert_file: /c}",
		"prometheus: {basic_auth: {username: me, password_file: /p}}",
		"existingSecret: watchdog-slack",
		"secretName: watchdog-slack",
		"imagePullSecrets: [{name: registry}]",
		"monkey: see",
		"keyboard: qwerty",
		"page_id: abcdefghijkl",
		"url: https://events.example.com/v2/enqueue",
		"url: http://shop-frontend-internal.shop-production.svc.cluster.local:8080/metrics",
		"expr: max by (target) (avg_over_time(watchdog_sla_error_ratio[$window]))",
		"reply_to: somebody@example.com",
		"text: basic auth is wanted",
	} {
		h := newHider([]byte(line), secretsOf([]byte(line)))
		if got := apply(line, h.spans(1)); got != line {
			t.Errorf("%s is shown as %s", line, got)
		}
	}
	text := "receivers:\n  slack:\n    authorization:\n      type: Bearer\n      credentials_file: /c\n    " +
		"secret:\n      key_file: /k\n    token_file:\n      /t\n"
	h := newHider([]byte(text), secretsOf([]byte(text)))
	for i, line := range strings.Split(text, "\n") {
		if got := apply(line, h.spans(i+1)); got != line {
			t.Errorf("%s is shown as %s", line, got)
		}
	}
}

var errNone = errors.New("none")

func TestAnErrorOfWhatIsBuiltFromTheFileQuotesNoSecret_S19(t *testing.T) {
	c, err := Parse("x.yaml", []byte("targets: []\nprometheus: {url: http://p, http_headers: {X-Token: {values: "+
		"[hunter2-and-more]}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a header hunter2-and-more", "cut: `hunter2...`", "http://me:hunter2@p",
		"Bearer hunter2hunter2"} {
		if said := c.Hide(text); strings.Contains(said, "hunter2") {
			t.Errorf("%s", said)
		}
	}
	if err := c.HideIn(fmt.Errorf("a header hunter2-and-more: %w", errNone)); err.Error() != "a header <hidden>: none" {
		t.Errorf("%v", err)
	}
	if err := c.HideIn(errNone); err != errNone || c.HideIn(nil) != nil {
		t.Errorf("%v", err)
	}
	if err := HideIn([]byte("env:\n  - name: PASSWORD\n    value: hunter2\n"),
		errors.New("cannot read `hunter2`")); strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if said := (*Config)(nil).Hide("http://me:hunter2@p: refused"); said != "http://<hidden>@p: refused" {
		t.Errorf("%s", said)
	}
}

// FuzzHide: whatever the file, nothing breaks, and a secret below a key that looks like
// one is not shown when the file can be read.
func FuzzHide(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		// A fuzzer that takes the secret elsewhere, where nothing says that it is one, proves nothing.
		text = bytes.ReplaceAll(text, []byte("hunter2secret"), []byte("x"))
		var doc any
		if len(text) > 1<<12 || yaml.Unmarshal(text, &doc) != nil {
			return // the YAML library is slow with many keys that are the same
		}
		text = append(text, "\ntoken: hunter2secret\n"...)
		_, err := Parse("x.yaml", text)
		var all Errors
		if errors.As(err, &all) {
			if said := all.Excerpt(text) + all.Error(); strings.Contains(said, "hunter2secret") {
				t.Fatalf("shown:\n%s", said)
			}
		}
	})
}

// What is under a name that looks like a secret's is known, to be hidden wherever it comes back.
func TestInlinedSecretsAreKnown_SEC21(t *testing.T) {
	c, err := Parse("watchdog.yaml", []byte(`
prometheus: { url: "http://prometheus/", http_headers: { X-Scope-OrgID: { files: [/etc/tenant] } } }
targets:
  - name: shop
    namespace: shop
    workload: deployment/shop
    probes: [{ http: { name: front, url: "http://shop/", headers: { X-Api-Key: inlined-key, Accept: text/html } } }]
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.InlinedSecrets(); len(got) != 1 || got[0] != "inlined-key" {
		t.Errorf("%q", got)
	}
	if got := c.SecretFiles(); len(got) != 1 || got["prometheus.http_headers.X-Scope-OrgID.files[0]"] != "/etc/tenant" {
		t.Errorf("%v", got)
	}
}
