package probes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

// certified returns what a TLS server needs, and the file of its authority.
func certified(t *testing.T, until time.Time, names ...string) (conf *tls.Config, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-100 * 24 * time.Hour), NotAfter: until,
		DNSNames: names, IsCA: true, BasicConstraintsValid: true}
	if len(names) == 0 {
		of.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ca
}

// secured makes the TLS handshake before handle.
func secured(conf *tls.Config, handle func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		secure := tls.Server(c, conf)
		if secure.Handshake() == nil {
			handle(secure)
		}
	}
}

// says reads once, answers and waits until the other side closes.
func says(answer string) func(net.Conn) {
	return func(c net.Conn) {
		c.Read(make([]byte, 9999))
		fmt.Fprint(c, answer)
		until(c)
	}
}

// A server that is not asked by HTTP fails in the same ways whatever it speaks: these rows
// are the ones of the second table of the package documentation.
// greet is what a server says before the TLS handshake; nil: nothing.
func failsAsTheTableSays(t *testing.T, greet func(net.Conn),
	build func(address string, conf config.TLSClient, resolver *net.Resolver) (Probe, error), more ...endpointCase) {
	t.Helper()
	secured := func(conf *tls.Config, handle func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			if greet != nil {
				greet(c)
			}
			secured(conf, handle)(c)
		}
	}
	plain := config.TLSClient{TLS: config.PlainText}
	expired, expiredCA := certified(t, time.Now().Add(-time.Hour))
	other, otherCA := certified(t, time.Now().Add(time.Hour), "other.example")
	_, wrongCA := certified(t, time.Now().Add(time.Hour))
	for _, row := range append([]endpointCase{
		{name: "accepts and hangs", handle: until, want: Bad, says: "timeout, waiting for the answer"},
		{name: "closes at once", handle: func(c net.Conn) { c.Read(make([]byte, 9999)) }, want: Bad,
			says: "connection closed by the server"},
		{name: "not its protocol", handle: says("HTTP/1.1 400 Bad Request\r\n\r\n"), want: Unknown, says: ""},
		{name: "garbage without end", handle: says(strings.Repeat("\x16\x03\x01x", 1<<20)), want: Unknown, says: ""},
		{name: "refused", address: refusingAddress(t), want: Bad, says: "connection refused"},
		{name: "no such name", address: "nowhere.test.:1", resolver: fakeDNS(t, nil), want: Unknown,
			says: "DNS lookup failed"},
		{name: "deaf DNS", address: "nowhere.test.:1", resolver: deafDNS(), want: Unknown,
			says: "DNS lookup timed out"},
		{name: "metadata", address: "169.254.169.254:80", want: Unknown, says: "link-local"},
		{name: "name of metadata", address: "rebind.test.:80",
			resolver: fakeDNS(t, map[string]net.IP{"rebind.test": net.IPv4(169, 254, 169, 254)}), want: Unknown,
			says: "link-local"},
		{name: "hangs in the handshake", handle: until, tls: &config.TLSClient{}, want: Bad, says: "timeout"},
		{name: "certificate expired", handle: secured(expired, until), tls: &config.TLSClient{CAFile: expiredCA},
			want: Bad, says: "certificate has expired"},
		{name: "certificate of another name", handle: secured(other, until), tls: &config.TLSClient{CAFile: otherCA},
			want: Unknown, says: "invalid certificate"},
		{name: "certificate of another authority", handle: secured(other, until),
			tls: &config.TLSClient{CAFile: wrongCA, ServerName: "other.example"}, want: Unknown,
			says: "invalid certificate"},
		{name: "no CA file", address: refusingAddress(t), tls: &config.TLSClient{CAFile: "none"}, want: Unknown,
			says: "ca_file"},
	}, more...) {
		t.Run(row.name, func(t *testing.T) {
			if row.handle != nil {
				row.address = listen(t, row.handle)
			}
			if row.tls == nil {
				row.tls = &plain
			}
			probe, err := build(row.address, *row.tls, row.resolver)
			if err != nil {
				t.Fatal(err)
			}
			patience := 10 * time.Second
			if strings.Contains(row.says, "time") {
				patience = time.Second
				t.Parallel() // each waits
			}
			began := time.Now()
			state, detail := lookOnce(t, probe, began, patience)
			if state != row.want || !strings.Contains(detail, row.says) {
				t.Errorf("got %s %q, want %s and %q", state, detail, row.want, row.says)
			}
			if took := time.Since(began); took > patience+5*time.Second {
				t.Errorf("the probe returned after %s, its timeout is %s", took, patience)
			}
			if strings.Contains(detail, "geheim") {
				t.Errorf("the message contains the password: %s", detail)
			}
		})
	}
}

type endpointCase struct {
	name     string
	handle   func(net.Conn) // nil: see address
	address  string
	resolver *net.Resolver
	tls      *config.TLSClient // nil: plain text
	want     State
	says     string
}
