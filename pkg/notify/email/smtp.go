package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/secretfile"
	"watchdog.io/watchdog/pkg/strutil"
)

// smarthost is the mail server of a receiver.
type smarthost struct {
	host     string
	port     int
	mode     string
	tls      *tls.Config
	username string
	password *notify.Secret
	hello    string
}

func newSmarthost(c config.Email) (smarthost, error) {
	host, port, err := net.SplitHostPort(c.Smarthost)
	if err != nil {
		return smarthost{}, fmt.Errorf("smarthost: %w", err)
	}
	s := smarthost{host: host, mode: c.TLS, username: c.Username, hello: c.Hello,
		tls: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}
	if s.port, err = strconv.Atoi(port); err != nil {
		return s, fmt.Errorf("smarthost: %w", err)
	}
	if c.PasswordFile != "" {
		secret, err := notify.NewSecret(c.PasswordFile)
		if err != nil {
			return s, err
		}
		s.password = &secret
	}
	if c.CAFile != "" {
		if s.tls.RootCAs, err = secretfile.Authorities(c.CAFile); err != nil {
			return s, err
		}
	}
	return s, nil
}

// client returns a client for one mail. All that it does ends with ctx.
func (s smarthost) client(ctx context.Context) (*mail.Client, func(), error) {
	stop := func() {}
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		raw, err := httpclient.Dialer{}.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		forget := context.AfterFunc(ctx, func() { _ = raw.Close() })
		stop = func() { forget(); _ = raw.Close() }
		if s.mode != config.ImplicitTLS {
			return raw, nil
		}
		conn := tls.Client(raw, s.tls)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return conn, nil
	}
	policy := mail.TLSMandatory
	if s.mode != config.StartTLS {
		policy = mail.NoTLS
	}
	o := []mail.Option{mail.WithPort(s.port), mail.WithTimeout(notify.AttemptTimeout), mail.WithDialContextFunc(dial),
		mail.WithTLSPolicy(policy), mail.WithTLSConfig(s.tls), mail.WithoutNoop()}
	if s.hello != "" {
		o = append(o, mail.WithHELO(s.hello))
	}
	if s.mode == config.ImplicitTLS {
		o = append(o, mail.WithSSL())
	}
	if s.password != nil {
		password, err := s.password.Reveal()
		if err != nil {
			return nil, stop, err
		}
		// In plain text these are refused by the client itself, but for loopback.
		o = append(o, mail.WithUsername(s.username), mail.WithPassword(password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
				mail.SMTPAuthCramMD5))
	}
	c, err := mail.NewClient(s.host, o...)
	return c, func() { stop() }, err
}

// send hands the mail over. If the server takes it for some recipients only, those
// get it, and missed names the others: every recipient that can be reached is.
func (s smarthost) send(ctx context.Context, from string, to []*netmail.Address,
	m *mail.Msg) (missed string, err error) {
	client, hangUp, err := s.client(ctx)
	if err != nil {
		return "", err
	}
	defer func() { hangUp() }()
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", s.because(ctx, err)
	}
	if err := conn.Mail("<" + from + ">"); err != nil {
		return "", s.because(ctx, err)
	}
	var refused []string
	var first error
	for _, a := range to {
		if err := conn.Rcpt("<" + a.Address + ">"); err != nil {
			refused = append(refused, a.Address+": "+err.Error())
			// One that may pass outweighs one that stays.
			if first == nil || final(first) {
				first = fmt.Errorf("recipient %s: %w", a.Address, err)
			}
		}
	}
	if len(refused) == len(to) {
		return "", s.because(ctx, first)
	}
	w, err := conn.Data()
	if err != nil {
		return "", s.because(ctx, err)
	}
	if _, err := m.WriteTo(w); err != nil {
		return "", s.because(ctx, err)
	}
	if err := w.Close(); err != nil {
		return "", s.because(ctx, err)
	}
	// It is taken; how the conversation ends changes nothing.
	_ = conn.Quit()
	if len(refused) > 0 {
		missed = strutil.Shorten("rejected for "+strings.Join(refused, "; "), 300)
	}
	return missed, nil
}

// because says which server it was, and that time ran out where the library only says
// that a connection was closed.
func (s smarthost) because(ctx context.Context, err error) error {
	server := net.JoinHostPort(s.host, strconv.Itoa(s.port))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: timeout (%w)", server, ctx.Err())
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		return fmt.Errorf("%s does not offer STARTTLS; plaintext is not allowed", server)
	}
	return fmt.Errorf("%s: %w", server, err)
}

// smtpCode is the code with which a mail server refused; 0: it did not.
func smtpCode(err error) int {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// final: with 5xx a mail server rejects permanently.
func final(err error) bool { return smtpCode(err) >= 500 }

// tooLarge: by the code, or by the enhanced code that servers give with another one.
func tooLarge(err error) bool {
	return smtpCode(err) == 552 || final(err) && strings.Contains(err.Error(), "5.3.4")
}

func mailError(name string, i incident.Incident, err error) error {
	return &notify.Failure{Err: fmt.Errorf("mail %s about incident %s: %w", name, i.ID, err), Final: final(err)}
}
