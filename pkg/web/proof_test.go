package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/ingest"
)

// rightHash is bcrypt's of "right".
const rightHash = "$2a$04$EYckXo.i17n5FN4jdYZ7MeOHl8xzNc7qEAOFhiYqRXSWf/1jyiOlu"

// TestWhoMayPostThroughARealServer posts through TLS, certificates and basic auth
// as exporter-toolkit does them, for the webhook takes its word.
func TestWhoMayPostThroughARealServer(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := authority(t), authority(t)
	ours.issue(t, dir, "server")
	ours.issue(t, dir, "am-eu")
	theirs.issue(t, dir, "stranger")
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("ca.pem", string(ours.pem))
	const server = "tls_server_config: { cert_file: server.pem, key_file: server-key.pem"
	users := "basic_auth_users: { am: " + rightHash + " }\n"
	for _, tc := range []struct {
		name, config string
		certificate  string // that the client shows
		as           func(*http.Request)
		status       int // 0: not even a connection
		sender       string
	}{
		{"a bearer token without TLS", "", "", bearer("secret"), 200, "am"},
		{"a bearer token over TLS", server + " }", "", bearer("secret"), 200, "am"},
		{"nothing over TLS", server + " }", "", func(*http.Request) {}, 401, ""},
		{"a user with the right password", users, "", basic("am", "right"), 200, "user am"},
		{"a user with a wrong password", users, "", basic("am", "wrong"), 401, ""},
		{"another user with the right password", users, "", basic("bob", "right"), 401, ""},
		{"a token where passwords are asked for", users, "", bearer("secret"), 401, ""},
		{"a certificate of ours", server + ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert }",
			"am-eu", func(*http.Request) {}, 200, "certificate am-eu"},
		{"a certificate of somebody", server +
			", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert }", "stranger",
			func(*http.Request) {}, 0, ""},
		{"no certificate where one is asked for", server +
			", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert }", "", bearer("secret"), 0, ""},
		{"a certificate that nobody verifies", server + ", client_auth_type: RequireAnyClientCert }", "stranger",
			func(*http.Request) {}, 401, ""},
		{"a token where a certificate may be shown", server +
			", client_ca_file: ca.pem, client_auth_type: VerifyClientCertIfGiven }", "", bearer("secret"), 200, "am"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := ""
			if tc.config != "" {
				config = put("web.yaml", tc.config)
			}
			var sender string
			hook := Alertmanager(AlertmanagerOptions{
				Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), WebConfig: config,
				Senders: func() []Sender { return []Sender{{Name: "am", TokenFile: put("token", "secret")}} },
				Accept:  func(_ context.Context, all []ingest.Alert) error { sender = all[0].Sender; return nil },
			})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() {
				served <- serveOn(ctx, Options{Logger: slog.New(slog.DiscardHandler),
					Gatherer: prometheus.NewRegistry(), Alertmanager: hook}, l, config)
			}()
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.pool}}
			url := "http://" + l.Addr().String() + AlertmanagerPath
			if strings.Contains(tc.config, "tls") {
				url = strings.Replace(url, "http", "https", 1)
			}
			if tc.certificate != "" {
				c, err := tls.LoadX509KeyPair(filepath.Join(dir, tc.certificate+".pem"),
					filepath.Join(dir, tc.certificate+"-key.pem"))
				if err != nil {
					t.Fatal(err)
				}
				// Shown even if the server does not ask for its authority.
				transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate,
					error) {
					return &c, nil
				}
			}
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(oneAlert))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			tc.as(r)
			status := 0
			resp, err := transport.RoundTrip(r)
			if err == nil {
				status = resp.StatusCode
				resp.Body.Close()
			}
			transport.CloseIdleConnections()
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
			if status != tc.status || sender != tc.sender {
				t.Errorf("%d (%v), sender %q; want %d, %q", status, err, sender, tc.status, tc.sender)
			}
		})
	}
}

// A certificate is replaced before it ends, and nobody restarts watchdog for that.
func TestACertificateIsReadAgain_SEC01(t *testing.T) {
	dir := t.TempDir()
	before, after := authority(t), authority(t)
	before.issue(t, dir, "server")
	config := filepath.Join(dir, "web.yaml")
	if err := os.WriteFile(config, []byte("tls_server_config: { cert_file: server.pem, key_file: server-key.pem }\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serveOn(ctx, Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry()}, l,
			config)
	}()
	reached := func(by *ca) error {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: by.pool})
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	if err := reached(before); err != nil || reached(after) == nil {
		t.Errorf("at the start: %v", err)
	}
	after.issue(t, dir, "server")
	if err := reached(after); err != nil || reached(before) == nil {
		t.Errorf("after the certificate was replaced: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// ca issues certificates.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	pool *x509.CertPool
}

func authority(t *testing.T) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := &ca{cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pool: x509.NewCertPool()}
	c.pool.AddCert(cert)
	return c
}

// issue writes NAME.pem and NAME-key.pem.
func (c *ca) issue(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, &key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			0o600),
		os.WriteFile(filepath.Join(dir, name+"-key.pem"),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}
