package recorders_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/recorders"
)

// talk says each line to a mail server and returns the last line of each answer.
func talk(t *testing.T, r *recorders.Recorder, o recorders.SMTPOptions, lines ...string) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.ServeSMTP(l, o) }()
	defer func() {
		l.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewScanner(c)
	var answers []string
	for n := -1; n < len(lines); n++ {
		if n >= 0 {
			if _, err := fmt.Fprint(c, lines[n]+"\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		for in.Scan() && len(in.Text()) > 3 && in.Text()[3] == '-' {
			continue
		}
		answers = append(answers, in.Text())
	}
	return answers
}

func TestAMailServerRefusesWhatRealOnesRefuse(t *testing.T) {
	const head = "From: a@example.com\r\nTo: b@example.com\r\nDate: Thu, 01 Jan 2026 12:00:00 +0000\r\nMessage-ID: " +
		"<1@example.com>\r\nSubject: =?UTF-8?q?caf=C3=A9?=\r\n"
	start := []string{"EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>", "DATA"}
	for name, tc := range map[string]struct {
		o     recorders.SMTPOptions
		lines []string
		want  string // how the last answer begins
	}{
		"a mail": {lines: append(start, head+"\r\n..dots\r\n."), want: "250"},
		"a line without CR": {lines: append(start, head+"\r\na\nb\r\n."),
			want: "550 5.6.0 a line does not end in CRLF"},
		"a line that is long": {lines: append(start, head+"\r\n"+strings.Repeat("x", 999)+"\r\n."),
			want: "550 5.6.0 a line is longer"},
		"no Message-ID": {lines: append(start,
			"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\n\r\nx\r\n."), want: "550 5.6.0 0 headers Date"},
		"two subjects": {lines: append(start, head+"Subject: y\r\n\r\nx\r\n."),
			want: "550 5.6.0 2 headers Subject"},
		"no password": {o: recorders.SMTPOptions{User: "u", Password: "p"}, lines: start[:2], want: "530"},
		"a wrong password": {o: recorders.SMTPOptions{User: "u", Password: "p"},
			lines: []string{"EHLO x", "AUTH PLAIN AHUAcQ=="}, want: "535"},
		"a password": {o: recorders.SMTPOptions{User: "u", Password: "p"},
			lines: []string{"EHLO x", "AUTH PLAIN AHUAcA=="}, want: "235"},
		"a password in two": {o: recorders.SMTPOptions{User: "u", Password: "p"},
			lines: []string{"EHLO x", "AUTH LOGIN", "dQ==", "cA=="}, want: "235"},
		"STARTTLS without TLS":  {lines: []string{"EHLO x", "STARTTLS"}, want: "502"},
		"a recipient too early": {lines: []string{"EHLO x", "RCPT TO:<b@example.com>"}, want: "503"},
		"nobody of that name": {o: recorders.SMTPOptions{Unknown: []string{"b@example.com"}}, lines: start[:3],
			want: "550"},
		"a mail to nobody": {lines: []string{"EHLO x", "MAIL FROM:<a@example.com>", "DATA"}, want: "503"},
		"an unknown word":  {lines: []string{"HACK"}, want: "500"},
	} {
		r := recorders.New(recorders.Options{})
		answers := talk(t, r, tc.o, tc.lines...)
		if got := answers[len(answers)-1]; !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %q, want %s", name, got, tc.want)
		}
		all := r.Requests(recorders.Email)
		if (len(all) == 1) != (name == "a mail") {
			t.Errorf("%s: %d taken", name, len(all))
		}
		if name == "a mail" && (all[0].Summary != "café" || all[0].Key != "<1@example.com>" ||
			!strings.Contains(string(all[0].Body), "\\r\\n.dots")) {
			t.Errorf("%+v", all[0])
		}
	}
}

func TestAChangeEvent(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	key := strings.Repeat("0", 32)
	for body, want := range map[string]int{
		`{"routing_key":"` + key + `","payload":{"summary":"shop: revision 7"}}`: 202,
		`{"routing_key":"short","payload":{"summary":"x"}}`:                      400,
		`{"routing_key":"` + key + `","payload":{}}`:                             400,
		`{`: 400,
	} {
		if status, text := send(t, "POST", url+"/pagerduty/v2/change/enqueue", body); status != want {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if all := r.Requests(recorders.PagerDuty); len(all) != 1 || all[0].Action != "change" ||
		len(r.PagerDutyIncidents()) != 0 {
		t.Errorf("%v", all)
	}
}
