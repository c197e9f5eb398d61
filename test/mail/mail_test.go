//go:build integration

// Package mail sends mails through a real mail server, Exim, and reads what it
// wrote into files.
package mail

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func trouble() incident.Incident {
	i := incident.New("01inc", incident.Target{Name: "shop", Namespace: "shop-prod", Kind: "deployment",
		Workload: "shop"}, t0)
	i.Severity, i.Lead, i.Paged, i.PageReason = incident.P1, "errors", true, "the ladder reached page"
	i.Alerts = []incident.Alert{{Rule: "errors", Severity: incident.P1, Firing: true,
		Was: "31% fail <b>é</b>\r\nBcc: everybody@example.com"}}
	i.Timeline = []incident.Entry{{At: t0, Kind: "firing", Text: "errors: 31% fail"}}
	return i
}

func resolved(i incident.Incident) incident.Incident {
	i.Phase, i.ResolvedAt = incident.Resolved, t0.Add(time.Hour)
	return i
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(f, text, 0o600))
	return f
}

func receiver(t *testing.T, e config.Email) notify.Notifier {
	t.Helper()
	e.Name, e.From, e.Severities = "mail", "watchdog <watchdog@example.com>", []incident.Severity{incident.P0,
		incident.P1}
	if e.To == nil {
		e.To = []string{"oncall@example.com"}
	}
	all, err := receivers.FromConfig(&config.Config{Receivers: config.Receivers{Emails: []config.Email{e}}}, time.Now)
	must(t, err)
	return all[0]
}

func TestMail(t *testing.T) {
	authority, err := recorders.NewAuthority()
	must(t, err)
	other, err := recorders.NewAuthority()
	must(t, err)
	server := start(t, authority)
	ca, stranger, right, wrong := file(t, authority.PEM()), file(t, other.PEM()), file(t, []byte(password)), file(t,
		[]byte("wrong"))
	for _, tc := range []struct {
		name string
		e    config.Email
		want string // in the error; empty: it is delivered
		stay bool   // the error is final
	}{
		{"STARTTLS and a password", config.Email{Smarthost: server.starttls, TLS: config.StartTLS, CAFile: ca,
			Username: username, PasswordFile: right}, "", false},
		{"implicit TLS and a password", config.Email{Smarthost: server.implicit, TLS: config.ImplicitTLS, CAFile: ca,
			Username: username, PasswordFile: right}, "", false},
		{"two recipients, one of whom is unknown", config.Email{Smarthost: server.starttls, TLS: config.StartTLS,
			CAFile: ca, Username: username, PasswordFile: right, To: []string{"gone@example.com", "lead@example.com"}},
			"", false},
		{"a wrong password", config.Email{Smarthost: server.starttls, TLS: config.StartTLS, CAFile: ca,
			Username: username, PasswordFile: wrong}, "535", true},
		{"no password", config.Email{Smarthost: server.starttls, TLS: config.StartTLS, CAFile: ca},
			"give a password first", true},
		{"a certificate that nobody vouches for", config.Email{Smarthost: server.starttls, TLS: config.StartTLS,
			CAFile: stranger, Username: username, PasswordFile: right}, "unknown authority", false},
		{"the same with implicit TLS", config.Email{Smarthost: server.implicit, TLS: config.ImplicitTLS,
			CAFile: stranger, Username: username, PasswordFile: right}, "unknown authority", false},
		{"a password in plain text", config.Email{Smarthost: server.starttls, TLS: config.NoTLS, Username: username,
			PasswordFile: right}, "does not support SMTP AUTH", false},
		{"an unknown recipient", config.Email{Smarthost: server.starttls, TLS: config.StartTLS, CAFile: ca,
			Username: username, PasswordFile: right, To: []string{"gone@example.com"}}, "nobody of that name", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := receiver(t, tc.e)
			r, err := n.Notify(t.Context(), trouble(), incident.Receipt{})
			if tc.want != "" {
				f, is := err.(*notify.Failure)
				if !is || f.Final != tc.stay || !strings.Contains(err.Error(), tc.want) || r.State != "" {
					t.Errorf("%v, receipt %+v", err, r)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			first := read(t, server.next(t))
			if _, err = n.Notify(t.Context(), resolved(trouble()), r); err != nil {
				t.Fatal(err)
			}
			last := read(t, server.next(t))
			if strings.Contains(tc.name, "unknown") != strings.Contains(r.Error,
				"rejected for gone@example.com: 550") {
				t.Errorf("%+v", r)
			}
			first.check(t, "P1 shop: errors (31% fail <b>é</b>  Bcc: everybody@example.com)", "", "P1 open",
				"the ladder reached page", "12:00:00")
			last.check(t, "Re: P1 shop: errors (31% fail <b>é</b>  Bcc: everybody@example.com)",
				"<watchdog.01inc@example.com>", "P1 resolved", "No action is required")
		})
	}
	t.Run("a mail that is too large", func(t *testing.T) {
		n := receiver(t, config.Email{Smarthost: server.starttls, TLS: config.StartTLS, CAFile: ca, Username: username,
			PasswordFile: right, Text: "{{ range 2000 }}a line that says nothing at all, many times\n{{ end }}"})
		if _, err := n.Notify(t.Context(), trouble(), incident.Receipt{}); err != nil {
			t.Fatal(err)
		}
		if m := read(t, server.next(t)); !strings.Contains(m.text, "the mail server rejected the full text") {
			t.Error(m.text)
		}
	})
}

// letter is a mail as its reader has it.
type letter struct {
	header     mail.Header
	text, html string
}

func read(t *testing.T, raw string) letter {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	must(t, err)
	l := letter{header: m.Header}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	must(t, err)
	if kind == "text/plain" {
		b, err := io.ReadAll(m.Body)
		must(t, err)
		l.text = string(b)
		return l
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextPart() // it decodes
		if err == io.EOF {
			return l
		}
		must(t, err)
		b, err := io.ReadAll(p)
		must(t, err)
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			l.html = string(b)
		} else {
			l.text = string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
		}
	}
}

func (l letter) check(t *testing.T, subject, inReplyTo string, words ...string) {
	t.Helper()
	got, err := new(mime.WordDecoder).DecodeHeader(l.header.Get("Subject"))
	must(t, err)
	if got != subject || l.header.Get("In-Reply-To") != inReplyTo || l.header.Get("References") != inReplyTo ||
		l.header.Get("Auto-Submitted") != "auto-generated" || l.header.Get("Bcc") != "" {
		t.Errorf("%q: %v", got, l.header)
	}
	if id := l.header.Get("Message-Id"); !strings.HasPrefix(id, "<watchdog.01inc") ||
		(id == "<watchdog.01inc@example.com>") != (inReplyTo == "") {
		t.Errorf("Message-ID %s", id)
	}
	for name, text := range map[string]string{"text": l.text, "html": l.html} {
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q in\n%s", name, w, text)
			}
		}
	}
	if strings.Contains(l.html, "<b>é") {
		t.Error("markup from an alert in the page")
	}
}
