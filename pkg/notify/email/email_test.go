package email

import (
	"context"
	"encoding/json"
	"errors"
	unescape "html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// postOffice is a mail server, and a receiver that uses it.
func postOffice(t *testing.T, o recorders.SMTPOptions, c config.Email) (*recorders.Recorder, *Email) {
	t.Helper()
	rec := recorders.New(recorders.Options{SlowBy: time.Millisecond})
	address := notifytest.MailServer(t, rec, o)
	c.Name, c.Smarthost, c.From, c.Severities = "mail", address, "watchdog <watchdog@example.com>",
		[]incident.Severity{incident.P0, incident.P1}
	if c.To == nil {
		c.To = []string{"oncall@example.com"}
	}
	if c.TLS == "" {
		c.TLS = config.StartTLS
	}
	quick := notify.QuickReference{Contacts: []string{"Lead <b>: +49 30 1234567"},
		Links: []config.Link{{Name: "dash<board>", URL: "https://grafana.example.com/d/x?a=1&b=2"}}}
	l, err := New(c, quick, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, l
}

// withTLS offers TLS by the tests' authority.
func withTLS(t testing.TB, rec *recorders.Recorder, o recorders.SMTPOptions) recorders.SMTPOptions {
	t.Helper()
	var err error
	if o.TLS, err = rec.TLS(notifytest.Authority); err != nil {
		t.Fatal(err)
	}
	return o
}

func secured(t *testing.T, c config.Email) (*recorders.Recorder, *Email) {
	return postOffice(t, withTLS(t, recorders.New(recorders.Options{}), recorders.SMTPOptions{}), c)
}

// parts are the headers and both bodies of a mail.
func parts(t testing.TB, q recorders.Request) (header map[string][]string, text, html string) {
	t.Helper()
	m, err := q.Mail()
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		return m.Header, decoded(t, m.Header.Get("Content-Transfer-Encoding"), m.Body), ""
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m.Header, text, html
		}
		if err != nil {
			t.Fatal(err)
		}
		body := decoded(t, p.Header.Get("Content-Transfer-Encoding"), p)
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			html = body
		} else {
			text = body
		}
	}
}

func decoded(t testing.TB, encoding string, r io.Reader) string {
	t.Helper()
	if encoding == "quoted-printable" {
		r = quotedprintable.NewReader(r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func TestAMailThreadPerIncident(t *testing.T) {
	rec, l := secured(t, config.Email{})
	i := notifytest.Trouble()
	i.Attempts = []incident.Attempt{{Summary: "roll back shop to revision 4", Verdict: incident.NoEffect}}
	r := notifytest.Tell(t, l, i, incident.Receipt{})
	r.At = notifytest.T0
	if again := notifytest.Tell(t, l, i, r); again != r {
		t.Errorf("told twice of the same: %+v", again)
	}
	i.Timeline = append(i.Timeline, incident.Entry{At: notifytest.T0, Kind: "held", Text: "cooldown"})
	notifytest.Tell(t, l, i, r)
	i.Unanswered = 1
	r = notifytest.Tell(t, l, i, r)
	r = notifytest.Tell(t, l, notifytest.Over(i), r)
	all := rec.Requests(recorders.Email)
	if len(all) != 3 {
		t.Fatalf("%d mails", len(all))
	}
	ids := map[string]bool{}
	for k, q := range all {
		h, text, html := parts(t, q)
		get := func(name string) string { return strings.Join(h[name], "|") }
		if ids[q.Key] {
			t.Errorf("two mails are %s", q.Key)
		}
		ids[q.Key] = true
		subject, thread := "Re: P1 shop: error_rate (error rate 31% > 5% for 10s)", "<watchdog.01inc@example.com>"
		if k == 0 {
			subject, thread = strings.TrimPrefix(subject, "Re: "), ""
		}
		if q.Summary != subject || get("In-Reply-To") != thread || get("References") != thread || k == 0 &&
			q.Key != "<watchdog.01inc@example.com>" {
			t.Errorf("mail %d: %q in reply to %q, is %s", k, q.Summary, get("In-Reply-To"), q.Key)
		}
		if get("Auto-Submitted") != "auto-generated" || get("X-Watchdog-Incident") != "01inc" ||
			get("From") != `"watchdog" <watchdog@example.com>` || get("To") != "<oncall@example.com>" ||
			(get("Importance") == "high") != (k < 2) {
			t.Errorf("mail %d: %v", k, h)
		}
		for name, body := range map[string]string{"text": text, "html": unescape.UnescapeString(html)} {
			want := []string{"P1 open: shop", "watchdog is investigating", "roll back shop to revision 4: no effect",
				"error rate 31%", "12:00:00", "watchdog why 01inc", "+49 30 1234567",
				"https://grafana.example.com/d/x?a=1"}
			if k == 2 {
				want = []string{"P1 resolved: shop", "Resolved after 1m0s. No action is required."}
			}
			for _, w := range want {
				if !strings.Contains(body, w) {
					t.Errorf("mail %d, %s: no %q in\n%s", k, name, w, body)
				}
			}
		}
	}
	if r.State != "resolved" || r.Ref != "P1 shop: error_rate (error rate 31% > 5% for 10s)" {
		t.Errorf("%+v", r)
	}
	low := notifytest.Trouble()
	low.Severity = incident.P3
	if got := notifytest.Tell(t, l, low, incident.Receipt{}); got.State != "" {
		t.Error("told of what it does not take")
	}
}

// What a mail server answers, and what it does not offer.
func TestAMailThatIsRefused(t *testing.T) {
	password := func(text string) string {
		f := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, tc := range map[string]struct {
		server recorders.SMTPOptions
		plain  bool // the server has no TLS
		c      config.Email
		want   string // in the error; empty: it is taken
		final  bool
	}{
		"STARTTLS and a password": {server: recorders.SMTPOptions{User: "u", Password: "p"},
			c: config.Email{Username: "u", PasswordFile: password("p")}},
		"implicit TLS and a password": {server: recorders.SMTPOptions{User: "u", Password: "p", Implicit: true},
			c: config.Email{TLS: config.ImplicitTLS, Username: "u", PasswordFile: password("p")}},
		"plain text on loopback": {plain: true, c: config.Email{TLS: config.NoTLS}},
		"a wrong password": {server: recorders.SMTPOptions{User: "u", Password: "p"},
			c: config.Email{Username: "u", PasswordFile: password("q")}, want: "535", final: true},
		"no password": {server: recorders.SMTPOptions{User: "u", Password: "p"}, want: "530",
			final: true},
		"a server without passwords": {c: config.Email{Username: "u", PasswordFile: password("p")},
			want: "does not support SMTP AUTH"},
		"a server without STARTTLS": {plain: true, want: "does not offer STARTTLS"},
		"STARTTLS where TLS is meant": {c: config.Email{TLS: config.ImplicitTLS},
			want: "first record does not look like a TLS handshake"},
		"an unknown recipient": {server: recorders.SMTPOptions{Unknown: []string{"oncall@example.com"}},
			want: "recipient oncall@example.com: 550", final: true},
		"one of two recipients": {server: recorders.SMTPOptions{Unknown: []string{"a@example.com"}},
			c: config.Email{To: []string{"a@example.com", "b@example.com"}}},
		"a server that nobody vouches": {c: config.Email{CAFile: notifytest.Stranger(t)}, want: "unknown authority"},
	} {
		o := tc.server
		if !tc.plain {
			o = withTLS(t, recorders.New(recorders.Options{}), o)
		}
		rec, l := postOffice(t, o, tc.c)
		r, err := l.Notify(t.Context(), notifytest.Trouble(), incident.Receipt{})
		var f *notify.Failure
		switch {
		case tc.want == "" && (err != nil || len(rec.Requests(recorders.Email)) != 1):
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (!errors.As(err, &f) || f.Final != tc.final || !strings.Contains(err.Error(), tc.want) ||
			!strings.Contains(err.Error(), "mail mail about incident 01inc")):
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && len(rec.Requests(recorders.Email)) != 0:
			t.Errorf("%s: something was sent", name)
		}
		if (name == "one of two recipients") != strings.Contains(r.Error, "rejected for a@example.com: 550") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestAMailServerThatHangsIsLeftInTime_INV43(t *testing.T) {
	rec, l := secured(t, config.Email{})
	rec.Set(recorders.Email, recorders.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := l.Notify(ctx, notifytest.Trouble(), incident.Receipt{})
	var f *notify.Failure
	if !errors.As(err, &f) || f.Final || !strings.Contains(err.Error(), ": timeout (") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	// One that does not even greet.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l.post.port = silent.Addr().(*net.TCPAddr).Port
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := l.Notify(ctx, notifytest.Trouble(), incident.Receipt{}); err == nil ||
		!strings.Contains(err.Error(), ": timeout (") {
		t.Errorf("%v", err)
	}
}

func TestAMailThatIsTooLargeIsShortenedOnce(t *testing.T) {
	rec, l := secured(t, config.Email{})
	rec.Set(recorders.Email, recorders.TooLarge)
	i := notifytest.Trouble()
	i.Paged, i.PageReason = true, strings.Repeat("long ", 700)
	if r := notifytest.Tell(t, l, i, incident.Receipt{}); r.State != "firing" {
		t.Errorf("%+v", r)
	}
	all := rec.Requests(recorders.Email)
	if len(all) != 1 || rec.Attempts(recorders.Email) != 2 {
		t.Fatalf("%d taken of %d", len(all), rec.Attempts(recorders.Email))
	}
	if _, text, html := parts(t, all[0]); html != "" || !strings.Contains(text, "rejected the full text as too large") ||
		!strings.Contains(text, "P1 open: shop") {
		t.Errorf("%s", text)
	}
}

func TestATemplateOfAMail(t *testing.T) {
	rec, l := secured(t, config.Email{Subject: "[{{ .Status | toUpper }}] {{ .CommonLabels.target }}\nBcc: " +
		"all@example.com", HTML: `<p title="{{ .CommonAnnotations.headline }}">{{ range .Alerts }}{{ ` +
		`.Annotations.summary }}{{ end }}</p>`, Text: "{{ .Headline }}"})
	i := notifytest.Trouble()
	i.Alerts[0].Was = `<script>alert(1)</script>" onload="x`
	notifytest.Tell(t, l, i, incident.Receipt{})
	q := rec.Requests(recorders.Email)[0]
	h, text, html := parts(t, q)
	if q.Summary != "[FIRING] shop Bcc: all@example.com" || len(h["Bcc"]) != 0 {
		t.Errorf("%q %v", q.Summary, h)
	}
	if text != `P1 open: shop: error_rate (<script>alert(1)</script>" onload="x)` {
		t.Errorf("%q", text)
	}
	if strings.Contains(html, "<script") || strings.Contains(html, `" onload`) ||
		!strings.Contains(html, "&lt;script&gt;") {
		t.Error(html)
	}
}

// A template that fails costs the dress and not the page.
func TestATemplateOfAMailThatFails(t *testing.T) {
	for name, bad := range map[string]string{"a field": `{{ .Nothing }}`, "a panic": `{{ index .Alerts 7 }}`,
		"an empty loop": `{{ range 100000000000 }}{{ end }}`, "much": `{{ range 1000000 }}xxxxxxxxxx{{ end }}`} {
		for part, c := range map[string]config.Email{"subject": {Subject: bad}, "html": {HTML: "<p>" + bad},
			"text": {Text: bad}} {
			rec, l := secured(t, c)
			for _, b := range []*notify.Template{l.subject, l.html, l.text} {
				if b != nil {
					b.Limit = 50 * time.Millisecond
				}
			}
			notifytest.Tell(t, l, notifytest.Trouble(), incident.Receipt{})
			q := rec.Requests(recorders.Email)[0]
			_, text, html := parts(t, q)
			if html != "" || !strings.Contains(text, "P1 open: shop") ||
				!strings.Contains(text, "The "+part+" template of receiver mail failed") ||
				!strings.HasPrefix(q.Summary, "P1 shop") {
				t.Errorf("%s in %s: %q\n%s\n%s", name, part, q.Summary, text, html)
			}
		}
	}
	for _, c := range []config.Email{{Subject: "{{"}, {HTML: "{{ nothing }}"}, {Text: "{{ if }}"}} {
		c.Smarthost, c.From = "127.0.0.1:25", "a@example.com"
		if _, err := New(c, notify.QuickReference{}, time.Now); err == nil {
			t.Errorf("%+v: a template that cannot be read is taken", c)
		}
	}
}

// FuzzMail: text from elsewhere adds no header, no line, no markup and no recipient,
// and the mail stays one that servers take (SEC-20).
func FuzzMail(f *testing.F) {
	l, err := New(config.Email{Name: "mail", Smarthost: "127.0.0.1:25", TLS: config.NoTLS, From: "watchdog@example.com",
		To: []string{"a@example.com"}}, notify.QuickReference{}, func() time.Time { return notifytest.T0 })
	if err != nil {
		f.Fatal(err)
	}
	f.Add("error rate 31% > 5%", byte(0), byte(0))
	f.Add("x\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>", byte(5), byte(1))
	f.Add("\u202egnol\u2028"+strings.Repeat("é", 400)+"\xff\x85", byte(1), byte(2))
	f.Fuzz(func(t *testing.T, text string, phase, severity byte) {
		i := notifytest.Foreign(text, phase, severity)
		m, _ := l.write(t.Context(), i, incident.Receipt{State: "firing", Ref: strutil.Visible(text)}, notify.MaxText)
		var b strings.Builder
		if _, err := m.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.SplitAfter(b.String(), "\r\n") {
			if len(line) > 1000 || strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n\x00") {
				t.Fatalf("a line no server takes: %q", line)
			}
		}
		body, err := json.Marshal(b.String())
		if err != nil {
			t.Fatal(err)
		}
		header, plain, html := parts(t, recorders.Request{Body: body})
		known := []string{"Auto-Submitted",
			"Content-Transfer-Encoding", "Content-Type", "Date", "From", "Importance", "In-Reply-To", "Message-Id",
			"Mime-Version", "Priority", "References", "Subject", "To", "X-Auto-Response-Suppress", "X-Msmail-Priority",
			"X-Priority", "X-Watchdog-Incident"}
		for name, values := range header {
			if !slices.Contains(known, name) || len(values) != 1 {
				t.Fatalf("header %s: %q", name, values)
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(header["Subject"][0])
		if err != nil || subject != strutil.Visible(subject) {
			t.Fatalf("subject %q: %v", subject, err)
		}
		if strings.Count(plain, "\n") > 60 ||
			strutil.Visible(strings.ReplaceAll(plain, "\n", "")) != strings.ReplaceAll(plain, "\n", "") {
			t.Fatalf("text %q", plain)
		}
		if text == "" {
			return // lines are left out
		}
		if want := tags(t, l, notifytest.Foreign("x", phase, severity)); tagged(html) != want {
			t.Fatalf("markup from elsewhere: %s, want %s", tagged(html), want)
		}
	})
}

// tags are the tags of the page about an incident, in order.
func tags(t *testing.T, l *Email, i incident.Incident) string {
	t.Helper()
	html, err := l.html.Execute(t.Context(), l.data(i, notify.MaxText))
	if err != nil {
		t.Fatal(err)
	}
	return tagged(html)
}

var (
	tag = regexp.MustCompile("<[^>]*>")
	// A stranger who writes one of watchdog's commands has it shown as one.
	code = regexp.MustCompile("</?code[^>]*>")
)

func tagged(html string) string {
	html = code.ReplaceAllString(html, "")
	return strings.Join(tag.FindAllString(html, -1), "")
}

// A command in a mail is shown as one, and a back quote that a stranger wrote as itself.
func TestCommandsInAMailAreShownAsCommands(t *testing.T) {
	l, err := New(config.Email{Name: "m", Smarthost: "127.0.0.1:25", From: "w@example.com",
		To: []string{"o@example.com"}, TLS: "none"}, notify.QuickReference{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for next, want := range map[string]string{
		"hold it, or `watchdog ack <i>` now": `hold it, or <code style="font-family:monospace">watchdog ack &lt;i&gt;</code> now</p>`,
		"`t(ale` and `x`":                    "<p style=\"margin:0 0 12px\">`t(ale` and `x`</p>",
		"one ` alone":                        "<p style=\"margin:0 0 12px\">one ` alone</p>",
	} {
		page, err := l.html.Execute(t.Context(), mailData{Data: &template.Data{}, Next: next})
		if err != nil || !strings.Contains(page, want) {
			t.Errorf("%v: no %q in\n%s", err, want, page)
		}
	}
}

// Mail servers throw away what has the Message-ID of another mail: what a replica says
// of itself has the same id each time, and yet is news.
func TestASecondCutOffIsAnotherMail_INV45(t *testing.T) {
	l, err := New(config.Email{Name: "mail", Smarthost: "127.0.0.1:25", From: "watchdog@example.com",
		To: []string{"ops@example.com"}}, notify.QuickReference{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	i := incident.Incident{ID: "leaderless-watchdog", Target: incident.Target{Name: incident.Self},
		OpenedAt: notifytest.T0}
	first, _ := l.ids(i, incident.Receipt{})
	root, _ := l.ids(i, incident.Receipt{State: "firing"})
	i.OpenedAt = notifytest.T0.Add(time.Hour)
	if second, _ := l.ids(i, incident.Receipt{}); second == first || root != first {
		t.Errorf("%s, then %s; the first one's thread is %s", first, second, root)
	}
}

// "Re: P2 …" is read tomorrow.
func TestAMailOfAGraverSeverityHasASubjectOfItsOwn_X40(t *testing.T) {
	rec, l := secured(t, config.Email{})
	was, now := notifytest.Acknowledged()
	r := notifytest.Tell(t, l, was, notifytest.Tell(t, l, notifytest.Trouble(), incident.Receipt{}))
	r = notifytest.Tell(t, l, now, r)
	notifytest.Tell(t, l, notifytest.Over(now), r)
	var subjects []string
	for _, q := range rec.Requests(recorders.Email) {
		m, err := q.Mail()
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, m.Header.Get("Subject"))
	}
	title := "shop: error_rate (error rate 31% > 5% for 10s)"
	if want := []string{"P1 " + title, "Re: P1 " + title, "P0 (was P1) " + title, "Re: P0 (was P1) " +
		title}; !slices.Equal(subjects, want) {
		t.Errorf("%q\nwant %q", subjects, want)
	}
}

func TestAMailSaysWhichObjectItIsAbout_X71(t *testing.T) {
	l := &Email{name: "mail", reference: notify.NewQuickReference(&config.Config{})}
	ours, err := notify.ParseTemplate(emailText)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ours.Execute(t.Context(), l.data(notifytest.Filling(), notify.MaxText))
	if err != nil {
		t.Fatal(err)
	}
	notifytest.SaysItsObject(t, text)
}

// X43, for a page of a mail.
func TestAlertmanagersDefaultPageOfAMailIsThere_X43(t *testing.T) {
	b, err := notify.ParseHTML(`{{ template "email.default.html" . }}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Execute(context.Background(),
		mailData{Data: notify.TemplateData("mail", notifytest.Trouble(), notify.QuickReference{},
			"firing", notify.MaxText)}); err != nil || !strings.Contains(got, "31% &gt; 5%") {
		t.Errorf("%q, %v", got, err)
	}
}
