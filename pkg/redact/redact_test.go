package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSecretsDoNotLeave_SEC22(t *testing.T) {
	for _, tc := range []struct{ text, canary string }{
		{"Authorization: Bearer CANARY12345678", "CANARY"},
		{`{"authorization":"Basic Q0FOQVJZOng="}`, "Q0FOQVJZ"},
		{"calling with bearer CANARY.token.value12", "CANARY"},
		{"DATABASE_URL=postgres://app:CANARY@db:5432/x", "CANARY"},
		{"dial redis://:CANARY@redis:6379", "CANARY"},
		{"PASSWORD=CANARY", "CANARY"},
		{`db_password: "CANARY"`, "CANARY"},
		{`"api_key":"CANARY"`, "CANARY"},
		{"JWT_SECRET=CANARY next", "CANARY"},
		{"aws_access_key_id=AKIAIOSFODNN7CANARY1", "AKIAIOSFODNN7"},
		{"token ghp_CANARYCANARYCANARYCANARY12", "CANARY"},
		{"slack xoxb-1234-CANARY", "CANARY"},
		{"key sk-CANARYCANARYCANARY", "CANARY"},
		{"eyJhbGciOi.eyJDQU5BUlki.c2lnbmF0dXJl", "eyJDQU5BUlki"},
		{"-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----", "CANARY"},
		{"-----BEGIN PRIVATE KEY-----\nCANARY cut off", "CANARY"},
	} {
		if got := Text(tc.text); strings.Contains(got, tc.canary) || !strings.Contains(got, "redacted") {
			t.Errorf("%q became %q", tc.text, got)
		}
	}
}

// X98: every pod has a projected token, whose name is no secret.
func TestADocumentStaysOne_X98(t *testing.T) {
	const projected = `{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}]}`
	for text, want := range map[string]string{
		projected:                     projected,
		`{"password":"CANARY","n":1}`: `{"n":1,"password":"<redacted>"}`,
		`{"apiToken":12345}`:          `{"apiToken":"<redacted>"}`,
		`{"automountServiceAccountToken":false,"tokens":null}`:   `{"automountServiceAccountToken":false,"tokens":null}`,
		`{"args":["--password=CANARY","-v"],"a":"<b>&"}`:         `{"a":"<b>&","args":["--password=<redacted>","-v"]}`,
		`["postgres://u:CANARY@db/x",18446744073709551615]`:      `["postgres://<redacted>@db/x",18446744073709551615]`,
		"{\n  \"log\": \"{\\\"password\\\":\\\"CANARY\\\"}\"\n}": "{\n  \"log\": \"{\\\"password\\\":<redacted>\\\"}\"\n}",
	} {
		got := Text(text)
		if strings.Contains(got, "CANARY") || !json.Valid([]byte(got)) {
			t.Errorf("%s became %s", text, got)
		}
		if !strings.Contains(text, "log") && got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

func TestOrdinaryLinesStay(t *testing.T) {
	for _, s := range []string{
		"ERROR database connection refused: dial tcp 10.0.0.1:5432", "GET /health 200 12ms", "token bucket is empty",
		"agent-system v2.1.5 starting on 127.244.0.3",
		"http://agent-system-service.agent-system/health",
	} {
		if got := Text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}
