package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func knows(t *testing.T, contents ...string) (*Known, func(int, string)) {
	t.Helper()
	dir, k := t.TempDir(), &Known{}
	path := func(i int) string { return filepath.Join(dir, string(rune('a'+i))) }
	write := func(i int, content string) {
		t.Helper()
		if err := os.WriteFile(path(i), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		k.Read(path(i), filepath.Join(dir, "none"))
	}
	for i, c := range contents {
		write(i, c)
	}
	return k, write
}

func TestASecretThatWasReadIsHiddenInEveryForm_SEC21(t *testing.T) {
	for _, secret := range []string{
		"xoxb-1234567890-abcdef", "no shape at all 47", `with "quotes" & <tags>`,
		"Zürich/straße+47=", "eight8ch", "https://hooks.example.com/services/T0/B0/s3cr3tpath",
	} {
		k, _ := knows(t, secret+"\n")
		plain, _ := json.Marshal(map[string]string{"text": "it says: " + secret + "!"})
		var raw bytes.Buffer
		e := json.NewEncoder(&raw)
		e.SetEscapeHTML(false)
		_ = e.Encode("x" + secret)
		for form, text := range map[string]string{
			"as it is": "HTTP 400: bad token " + secret +
				", go away", "JSON": string(plain), "JSON without HTML": raw.String(),
			"query": "/x?token=" + url.QueryEscape(secret) + "&y=1", "path": "/x/" +
				url.PathEscape(secret), "Base64": "Basic " + base64.StdEncoding.EncodeToString([]byte(secret)),
		} {
			got := k.Text(text)
			if got == text || strings.Contains(got, secret) || !strings.Contains(got, hidden) {
				t.Errorf("%q as %s: %q", secret, form, got)
			}
			if form == "JSON" && !json.Valid([]byte(got)) {
				t.Errorf("%q: no JSON any more: %s", secret, got)
			}
		}
	}
}

func TestWhatIdentifiesAHookIsHiddenWithoutItsHost_SEC21(t *testing.T) {
	k, _ := knows(t, "https://hooks.example.com/services/T0/B0/s3cr3tpath")
	got := k.Text(`Post "/services/T0/B0/s3cr3tpath": connection refused by hooks.example.com`)
	if strings.Contains(got, "s3cr3t") || !strings.Contains(got, "hooks.example.com") {
		t.Errorf("%q", got)
	}
}

func TestASecretThatWasRotatedStaysHidden_SEC21(t *testing.T) {
	k, write := knows(t, "first-secret")
	write(0, "second-secret")
	write(1, "key-number-one\nkey-number-two\n")
	for _, s := range []string{"first-secret", "second-secret", "key-number-one", "key-number-two"} {
		if got := k.Text("x " + s + " y"); got != "x "+hidden+" y" {
			t.Errorf("%q", got)
		}
	}
	// Short values, empty files, and one that is part of another.
	k, _ = knows(t, "abc", "", "longer-secret", "longer-secret-still")
	if got := k.Text("abc longer-secret-still longer-secret"); got != "abc "+hidden+" "+hidden {
		t.Errorf("%q", got)
	}
	k.Add("inlined-one", "inlined-two", "inlined-one")
	if got := k.Text("inlined-one inlined-two longer-secret"); strings.Contains(got, "inlined") ||
		strings.Contains(got, "longer") {
		t.Errorf("%q", got)
	}
	var none Known
	if got := none.Text("x"); got != "x" {
		t.Errorf("%q", got)
	}
}

func TestTheLogHidesWhatWasRead_SEC21(t *testing.T) {
	k, _ := knows(t, "no-shape-at-all-47")
	var out bytes.Buffer
	l := slog.New(Handler(slog.NewTextHandler(&out, nil), k)).With("token", "no-shape-at-all-47").WithGroup("g")
	l.Error("refused no-shape-at-all-47", "err", errors.New("HTTP 401: no-shape-at-all-47"), "n", 7,
		slog.Group("h", "x", []string{"no-shape-at-all-47"}))
	if got := out.String(); strings.Contains(got, "no-shape") || strings.Count(got, hidden) != 4 ||
		!strings.Contains(got, "g.n=7") {
		t.Error(got)
	}
}

func TestAValueWithoutASecretIsTheSame_SEC21(t *testing.T) {
	k, _ := knows(t, "no-shape-at-all-47")
	type thing struct {
		Text string
		own  int
	}
	if got := Value(k, thing{"well", 7}); got != (thing{"well", 7}) {
		t.Errorf("%+v", got)
	}
	if got := Value(k, thing{"bad: no-shape-at-all-47", 7}); got.Text != "bad: "+hidden {
		t.Errorf("%+v", got)
	}
}

func BenchmarkAKnownSecretInAnIncident(b *testing.B) {
	dir := b.TempDir()
	var k Known
	for i := range 20 {
		f := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(f, []byte(strings.Repeat(string(rune('a'+i)), 32)), 0o600); err != nil {
			b.Fatal(err)
		}
		k.Read(f)
	}
	text := strings.Repeat(`{"at":"2026-03-01T12:00:00Z","what":"held","text":"guard cooldown: 4m12s are left of 10m"},`, 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		k.Text(text)
	}
}
