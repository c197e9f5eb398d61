package promql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"
)

const emptyVector = `{"status":"success","data":{"resultType":"vector","result":[]}}`

func put(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A server behind basic authentication, behind an authorization header of its own
// kind, or with tenants by header; every secret is read for each request.
func TestAServerBehindAuthenticationIsAsked_X60(t *testing.T) {
	dir := t.TempDir()
	user, password := put(t, filepath.Join(dir, "user"), "alice\n"), put(t, filepath.Join(dir, "password"), "old\n")
	for name, tc := range map[string]struct {
		http config.HTTPClientConfig
		want string
	}{
		"basic auth, name in the file": {config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "alice",
			PasswordFile: password}}, "alice:new||"},
		"basic auth, both in files": {config.HTTPClientConfig{BasicAuth: &config.BasicAuth{UsernameFile: user,
			PasswordFile: password}}, "alice:new||"},
		"a scheme of its own": {config.HTTPClientConfig{Authorization: &config.Authorization{Type: "Token",
			CredentialsFile: password}}, "|Token new|"},
		"a tenant by value": {config.HTTPClientConfig{HTTPHeaders: &config.Headers{
			Headers: map[string]config.Header{"X-Scope-OrgID": {Values: []string{"team-a"}}}}}, "||team-a"},
		"a tenant from a file": {config.HTTPClientConfig{HTTPHeaders: &config.Headers{
			Headers: map[string]config.Header{"X-Scope-OrgID": {Files: []string{password}}}}}, "||new"},
		"basic auth and a tenant by file": {config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "a",
			PasswordFile: password},
			HTTPHeaders: &config.Headers{Headers: map[string]config.Header{"X-Scope-OrgID": {Files: []string{user}}}}},
			"a:new||alice"},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, password, "old\n")
			var got string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				u, p, ok := r.BasicAuth()
				if ok {
					u += ":" + p
				}
				other := r.Header.Get("Authorization")
				if ok {
					other = ""
				}
				got = u + "|" + other + "|" + r.Header.Get("X-Scope-OrgID")
				_, _ = io.WriteString(w, emptyVector)
			}))
			defer srv.Close()
			q := remoteOf(t, RemoteOptions{URL: srv.URL, HTTP: tc.http})
			for _, p := range []string{"old", "new"} {
				put(t, password, p+"\n")
				if _, err := q(t.Context(), "x", start); err != nil {
					t.Fatal(err)
				}
			}
			if got != tc.want {
				t.Errorf("sent %q, want %q", got, tc.want)
			}
		})
	}
}

// Credentials go to the configured server only.
func TestCredentialsAreNotCarriedElsewhere_X60(t *testing.T) {
	stolen := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen = true }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	password := put(t, filepath.Join(t.TempDir(), "password"), "secret")
	q := remoteOf(t, RemoteOptions{URL: srv.URL,
		HTTP: config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "a", PasswordFile: password}}})
	if _, err := q(t.Context(), "x", start); err == nil || stolen {
		t.Errorf("redirect followed: %t, error %v", stolen, err)
	}
}

func TestAServerThatWantsAClientCertificateIsAsked_X60(t *testing.T) {
	dir := t.TempDir()
	cert, key, leaf := newCertificate(t, dir, "watchdog")
	asked := x509.NewCertPool()
	asked.AddCert(leaf)
	who := ""
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
		_, _ = io.WriteString(w, emptyVector)
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: asked}
	srv.StartTLS()
	defer srv.Close()
	ca := put(t, filepath.Join(dir, "ca.crt"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))

	if _, err := remoteOf(t, RemoteOptions{URL: srv.URL, CAFile: ca})(t.Context(), "x", start); err == nil {
		t.Error("without a client certificate: no error")
	}
	good := config.TLSConfig{CAFile: ca, CertFile: cert, KeyFile: key}
	if _, err := remoteOf(t, RemoteOptions{URL: srv.URL, HTTP: config.HTTPClientConfig{TLSConfig: good}})(t.Context(),
		"x", start); err != nil || who != "watchdog" {
		t.Errorf("asked as %q: %v", who, err)
	}
	named := good
	named.ServerName = "elsewhere.example"
	if _, err := remoteOf(t, RemoteOptions{URL: srv.URL, HTTP: config.HTTPClientConfig{TLSConfig: named}})(t.Context(),
		"x", start); err == nil || !strings.Contains(err.Error(), "elsewhere.example") {
		t.Errorf("the server's name is not compared: %v", err)
	}
	if _, err := NewRemote(RemoteOptions{URL: srv.URL,
		HTTP: config.HTTPClientConfig{TLSConfig: config.TLSConfig{CertFile: cert}}}); err == nil {
		t.Error("a certificate without its key is taken")
	}
}

// The authorities are renewed under a running process.
func TestTheAuthoritiesAreReadAgain_X60(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = io.WriteString(w, emptyVector)
	}))
	defer srv.Close()
	dir := t.TempDir()
	_, _, other := newCertificate(t, dir, "other")
	ca := put(t, filepath.Join(dir, "ca.crt"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Raw})))
	q := remoteOf(t, RemoteOptions{URL: srv.URL, CAFile: ca})
	if _, err := q(t.Context(), "x", start); err == nil {
		t.Fatal("an unknown authority is trusted")
	}
	put(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	if _, err := q(t.Context(), "x", start); err != nil {
		t.Errorf("the renewed file is not used: %v", err)
	}
}

func newCertificate(t *testing.T, dir, name string) (certFile, keyFile string, leaf *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	template.Subject.CommonName = name
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return put(t, filepath.Join(dir, name+".crt"),
			string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		put(t, filepath.Join(dir, name+".key"),
			string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: bytes}))), leaf
}
