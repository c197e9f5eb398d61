package redact

import (
	"strings"
	"testing"
)

// FuzzRedact: a secret in one of the forms below does not survive, whatever
// stands around it. The secret is spelt in letters that occur nowhere else.
func FuzzRedact(f *testing.F) {
	for form := range forms() {
		f.Add("2026-03-01 ERROR ", " retrying", uint8(form), uint8(form))
	}
	all := forms()
	f.Fuzz(func(t *testing.T, before, after string, form, shape uint8) {
		// A marker of ours in the text around would be found there.
		if strings.Contains(before+after, "ZQ") || len(before)+len(after) > 4096 {
			return
		}
		// What goes straight on is a part of the word: "mypassword" is one, "xAKIA…" is none.
		if before != "" && !strings.HasSuffix(before, " ") {
			before += " "
		}
		if strings.Contains(all[int(form)%len(all)], "SECRET and SECRET") && strings.ContainsAny(before, `"'`) {
			return // which quote then closes which is anybody's guess
		}
		secret := secrets()[int(shape)%len(secrets())]
		text := before + strings.ReplaceAll(all[int(form)%len(all)], "SECRET", secret) + " " + after
		got := Text(text)
		if strings.Contains(got, "ZQ") {
			t.Fatalf("%q became %q", text, got)
		}
		if again := Text(got); strings.Contains(again, "ZQ") || strings.Count(again, "redacted") < 1 {
			t.Fatalf("once more, %q became %q", got, again)
		}
		if same := Patterns()(text); same != got {
			t.Fatalf("Text %q, Patterns %q", got, same)
		}
	})
}

// secrets have in every part, however they are cut, the letters looked for.
func secrets() []string {
	return []string{"ZQZQZQZQZQZQZQZQZQZQZQZQ", "ZQ.ZQ-ZQ_ZQ+ZQ/ZQ=ZQZQZQZQ", "ZQ:ZQ@ZQ:ZQ#ZQ!ZQ$ZQ%ZQ",
		"ZQ\\nZQZQZQZQZQZQZQZQZQZQ"}
}

// forms are how secrets turn up in logs, manifests and URLs.
func forms() []string {
	return []string{
		"Authorization: Bearer SECRET",
		"authorization: Negotiate SECRET",
		`"Authorization":"Basic SECRET"`,
		"proxy-authorization=SECRET",
		"postgres://app:SECRET@db:5432/x",
		"PASSWORD=SECRET",
		`{"password":"SECRET"}`,
		`{"log":"{\"password\":\"SECRET\"}"}`,
		"db_password: 'SECRET'",
		`db_password: "SECRET and SECRET, and SECRET"`,
		"token = SECRET",
		"error: token: password: SECRET",
		"X_API_KEY=SECRET",
		"aws_secret_access_key: SECRET",
		"--password SECRET",
		"--db-password=SECRET",
		"passphrase: SECRET",
		"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET",
	}
}
