package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// listenAddress is host:port as the net package wants it. A pod's address is put
// before a port without brackets, which an IPv6 address needs.
func listenAddress(flag, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	host, port, err := splitAddress(text)
	if err != nil {
		return "", misused{fmt.Errorf("invalid --%s %q: %w; use for example :9095, 10.0.0.7:9095 or [fd00::5]:9095",
			flag, text, err)}
	}
	return net.JoinHostPort(host, port), nil
}

// advertisedURL is the URL at which other replicas reach this one. One that cannot
// be asked is refused: followers would answer every webhook with 503.
func advertisedURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	bad := func(why string) (string, error) {
		return "", misused{fmt.Errorf("invalid --advertise-url %q: %s; use for example http://10.0.0.7:9095 or "+
			"http://[fd00::5]:9095", text, why)}
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return bad("must start with http:// or https://")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if path != "" || strings.ContainsAny(rest, "?#@") {
		return bad("must have a host and a port only")
	}
	host, port, err := splitAddress(authority)
	switch {
	case err != nil:
		return bad(err.Error())
	case host == "":
		return bad("missing host; is $(POD_IP) set?")
	case !strings.Contains(host, ":") && !hostName.MatchString(host):
		return bad(fmt.Sprintf("invalid host %q", host))
	case unspecified(host):
		return bad("not reachable from other hosts")
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}
	if _, err := url.Parse(u.String()); err != nil {
		return bad("not a valid URL")
	}
	return u.String(), nil
}

var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)

func unspecified(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsUnspecified()
}

// splitAddress is net.SplitHostPort that also takes an IPv6 address without brackets
// before the last colon.
func splitAddress(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if i := strings.LastIndex(text, ":"); err != nil && i >= 0 {
		if a, e := netip.ParseAddr(text[:i]); e == nil && a.Is6() {
			host, port, err = text[:i], text[i+1:], nil
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("expected host:port: %w", err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("invalid port %q", port)
	}
	return host, port, nil
}
