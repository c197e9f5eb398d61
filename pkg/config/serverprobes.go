package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Ways in which a probe protects its connection.
const (
	VerifyTLS = "verify"
	PlainText = "none"
)

// hostPort reports an address that is not host:port; example is one that is.
func (v *validator) hostPort(a at, address, example string) {
	if strings.ContainsAny(address, "@/") {
		v.fail(a, "invalid address: use host:port without scheme, path and credentials, for example %s", example)
		return
	}
	host, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		v.fail(a, "invalid address %q; use host:port, for example %s", address, example)
	}
}

func (c *TLSClient) setDefaults() {
	if c.TLS == "" {
		c.TLS = VerifyTLS
	}
}

func (c *TLSClient) check(v *validator, a at) {
	switch c.TLS {
	case VerifyTLS:
	case PlainText:
		for _, o := range []struct {
			key string
			set bool
		}{{"ca_file", c.CAFile != ""}, {"server_name", c.ServerName != ""},
			{"insecure_skip_verify", c.InsecureSkipVerify}} {
			if o.set {
				v.fail(a.key(o.key), "%s has no effect with tls: none; remove one of them", o.key)
			}
		}
	default:
		v.fail(a.key("tls"), "unknown value %q; expected one of: %s, %s", c.TLS, VerifyTLS, PlainText)
	}
}

func (p *RedisProbe) check(v *validator, a at) {
	v.hostPort(a.key("address"), p.Address, "redis.shop:6379")
	p.TLSClient.check(v, a)
	if p.Username != "" && p.PasswordFile == "" {
		v.fail(a.key("password_file"), "username needs password_file")
	}
}

func (p *PostgresProbe) setDefaults() {
	p.TLSClient.setDefaults()
	if p.Database == "" {
		p.Database = "postgres"
	}
}

func (p *PostgresProbe) check(v *validator, a at) {
	v.hostPort(a.key("address"), p.Address, "postgres.shop:5432")
	p.TLSClient.check(v, a)
	if p.Username == "" {
		v.fail(a.key("username"), "username is required: a role that may connect, and needs no other right")
	}
	if p.PasswordFile == "" {
		v.fail(a.key("password_file"), "password_file is required: the file with the password of username")
	}
}

func (p *TLSProbe) check(v *validator, a at) {
	v.hostPort(a.key("address"), p.Address, "shop.example.com:443")
}

// queryTypes are the records that a probe may ask for.
var queryTypes = []string{"A", "AAAA", "CNAME", "SRV", "TXT"}

func (p *DNSProbe) setDefaults() {
	if p.QueryType == "" {
		p.QueryType = "A"
	}
}

func (p *DNSProbe) check(v *validator, a at) {
	if p.QueryName == "" || len(p.QueryName) > 254 || strings.ContainsAny(p.QueryName, "/:@ ") {
		v.fail(a.key("query_name"), "invalid query_name %q; use a name, for example shop.example.com", p.QueryName)
	}
	if !slices.Contains(queryTypes, p.QueryType) {
		v.fail(a.key("query_type"), "unsupported query_type %q; expected one of: %s", p.QueryType,
			strings.Join(queryTypes, ", "))
	}
	if p.Server != "" {
		v.hostPort(a.key("server"), p.Server, "10.96.0.10:53")
	}
	for i, e := range p.Expect {
		ip, err := netip.ParseAddr(e)
		if p.QueryType == "A" && !(err == nil && ip.Is4()) || p.QueryType == "AAAA" && !(err == nil && ip.Is6()) {
			v.fail(a.key("expect").key(i), "%q is not an answer of type %s", e, p.QueryType)
		}
	}
}
