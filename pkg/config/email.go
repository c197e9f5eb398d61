package config

import (
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"
)

// Ways of protecting mail on its way to the server.
const (
	StartTLS           = "starttls"
	ImplicitTLS        = "implicit"
	NoTLS              = "none"
	NoTLSOverTheNet    = "none-over-the-network"
	maxEmailRecipients = 100
)

func (e *Email) check(v *validator, a at, _ *Config) {
	host := v.smarthost(a.key("smarthost"), e.Smarthost)
	switch {
	case !slices.Contains([]string{StartTLS, ImplicitTLS, NoTLS, NoTLSOverTheNet}, e.TLS):
		v.fail(a.key("tls"), "unknown value %q; expected one of: starttls, implicit, none, none-over-the-network",
			e.TLS)
	case e.TLS == NoTLS && host != "" && !loopback(host):
		v.fail(a.key("tls"), "unencrypted mail to %s can be read on the network; use starttls or implicit, or "+
			"none-over-the-network to allow it", host)
	case e.TLS == NoTLSOverTheNet && e.PasswordFile != "":
		v.fail(a.key("password_file"), "passwords are not sent without TLS; use starttls or implicit, or remove the "+
			"password")
	}
	if (e.Username == "") != (e.PasswordFile == "") {
		v.fail(a, "username and password_file must be set together")
	}
	v.address(a.key("from"), e.From)
	if len(e.To) == 0 || len(e.To) > maxEmailRecipients {
		v.fail(a.key("to"), "invalid number of recipients: %d; use 1 to %d", len(e.To), maxEmailRecipients)
	}
	for k, to := range e.To {
		v.address(a.key("to").key(k), to)
	}
	if strings.ContainsFunc(e.Hello, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.fail(a.key("hello"), "invalid host name %q", e.Hello)
	}
}

// smarthost returns the host of host:port.
func (v *validator) smarthost(a at, hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	n, numeric := strconv.Atoi(port)
	if err != nil || host == "" || numeric != nil || n < 1 || n > 65535 {
		v.fail(a, "invalid address %q; use host:port, for example smtp.example.com:587", hostport)
		return ""
	}
	return host
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (v *validator) address(a at, s string) {
	if _, err := mail.ParseAddress(s); err != nil || strings.ContainsFunc(s,
		func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.fail(a, "invalid email address %q", s)
	}
}
