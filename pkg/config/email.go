package config

import (
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// Ways of protecting mail on its way to the server.
const (
	StartTLS           = "starttls"
	ImplicitTLS        = "implicit"
	NoTLS              = "none"
	NoTLSOverTheNet    = "none-over-the-network"
	maxEmailRecipients = 100
)

func (v *validator) emails(a at, all []Email, names map[string]bool, told map[incident.Severity]bool) {
	for i, e := range all {
		here := a.key(i)
		v.named(here, e.Name, names)
		host := v.smarthost(here.key("smarthost"), e.Smarthost)
		switch {
		case !slices.Contains([]string{StartTLS, ImplicitTLS, NoTLS, NoTLSOverTheNet}, e.TLS):
			v.fail(here.key("tls"), "unknown value %q; use starttls, implicit, none or none-over-the-network", e.TLS)
		case e.TLS == NoTLS && host != "" && !loopback(host):
			v.fail(here.key("tls"), "mail to %s would be readable on the way; use starttls or implicit, or say so: none-over-the-network", host)
		case e.TLS == NoTLSOverTheNet && e.PasswordFile != "":
			v.fail(here.key("password_file"), "a password is not sent in plain text; use starttls or implicit, or leave the password out")
		}
		if (e.Username == "") != (e.PasswordFile == "") {
			v.fail(here, "username and password_file belong together")
		}
		v.address(here.key("from"), e.From)
		if len(e.To) == 0 || len(e.To) > maxEmailRecipients {
			v.fail(here.key("to"), "%d recipients: at least 1 and at most %d", len(e.To), maxEmailRecipients)
		}
		for k, to := range e.To {
			v.address(here.key("to").key(k), to)
		}
		if strings.ContainsFunc(e.Hello, func(r rune) bool { return r <= ' ' || r > '~' }) {
			v.fail(here.key("hello"), "%q is no name of a host", e.Hello)
		}
		v.severities(here.key("severities"), e.Severities)
		for _, s := range e.Severities {
			told[s] = told[s] || e.FallbackFor == ""
		}
	}
}

// smarthost returns the host of host:port.
func (v *validator) smarthost(a at, hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	n, numeric := strconv.Atoi(port)
	if err != nil || host == "" || numeric != nil || n < 1 || n > 65535 {
		v.fail(a, "%q is no address of a mail server; write host:port, for instance smtp.example.com:587", hostport)
		return ""
	}
	return host
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (v *validator) address(a at, s string) {
	if _, err := mail.ParseAddress(s); err != nil || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.fail(a, "%q is no mail address", s)
	}
}
