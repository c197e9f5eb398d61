package probes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

// TestALookMeansWhatTheTableSays is the table of the package documentation (F-69).
func TestALookMeansWhatTheTableSays(t *testing.T) {
	at := time.Now()
	plain := func(body string) http.HandlerFunc { return respond(200, body) }
	edit := func(from, to string) string { return strings.Replace(healthBody(at), from, to, 1) }
	url := func(u string) func(t *testing.T) config.HTTPClient {
		return func(*testing.T) config.HTTPClient { return config.HTTPClient{URL: u} }
	}
	from := func(h http.HandlerFunc) func(t *testing.T) config.HTTPClient {
		return func(t *testing.T) config.HTTPClient { return serve(t, h) }
	}
	raw := func(scheme string, handle func(net.Conn)) func(t *testing.T) config.HTTPClient {
		return func(t *testing.T) config.HTTPClient {
			return config.HTTPClient{URL: scheme + "://" + listen(t, handle)}
		}
	}
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

	for _, row := range []struct {
		name         string
		conf         func(t *testing.T) config.HTTPClient
		resolver     *net.Resolver
		health, http State
		says         string // the health probe's detail or error
	}{
		{name: "healthy", conf: from(plain(healthBody(at))), health: OK, http: OK, says: "healthy"},
		{name: "200 but unhealthy", conf: from(plain(edit("healthy", "unhealthy"))), health: Bad, http: OK,
			says: "unhealthy"},
		{name: "200 but degraded", conf: from(plain(edit("healthy", "degraded"))), health: Bad, http: OK,
			says: "degraded"},
		{name: "500 with healthy", conf: from(respond(500, healthBody(at))), health: Bad, http: Bad,
			says: "status 500"},
		{name: "503 with nonsense", conf: from(respond(503, "<html>")), health: Bad, http: Bad, says: "status 503"},
		{name: "404", conf: from(respond(404, healthBody(at))), health: Unknown, http: Bad,
			says: "check the probe's url"},
		{name: "401", conf: from(respond(401, "")), health: Unknown, http: Bad, says: "credentials"},
		{name: "HTML", conf: from(plain("<!doctype html><p>healthy")), health: Unknown, http: OK, says: "HTML"},
		{name: "not JSON", conf: from(plain(`{"status":"healthy"`)), health: Unknown, http: OK, says: "not JSON"},
		{name: "empty", conf: from(plain("")), health: Unknown, http: OK, says: "not a JSON object"},
		{name: "an array", conf: from(plain(`["healthy"]`)), health: Unknown, http: OK, says: "not a JSON object"},
		{name: "two documents", conf: from(plain(healthBody(at) + "{}")), health: Unknown, http: OK,
			says: "unexpected data after"},
		{name: "two statuses", conf: from(plain(edit(`{`, `{"status":"unhealthy",`))), health: Unknown, http: OK,
			says: "twice"},
		{name: "no status", conf: from(plain(edit("status", "stat"))), health: Unknown, http: OK,
			says: `"status" is missing`},
		{name: "status in capitals", conf: from(plain(edit("status", "STATUS"))), health: Unknown, http: OK,
			says: `"status" is missing`},
		{name: "null status", conf: from(plain(edit(`"healthy"`, "null"))), health: Unknown, http: OK,
			says: `"status" is missing`},
		{name: "status is true", conf: from(plain(edit(`"healthy"`, "true"))), health: Unknown, http: OK,
			says: "not a string"},
		{name: "no timestamp", conf: from(plain(edit("timestamp", "time"))), health: Unknown, http: OK,
			says: `"timestamp" is missing`},
		{name: "NaN", conf: from(plain(edit("86400", "NaN"))), health: Unknown, http: OK, says: "not JSON"},
		{name: "beyond floats", conf: from(plain(edit("86400", "1e999"))), health: Unknown, http: OK,
			says: "not a number"},
		{name: "negative uptime", conf: from(plain(edit("86400", "-1"))), health: Unknown, http: OK,
			says: `"uptime" is -1`},
		{name: "uptime of ages", conf: from(plain(edit("86400", "1e18"))), health: Unknown, http: OK,
			says: `"uptime" is 1e+18`},
		{name: "old timestamp", conf: from(plain(healthBody(at.Add(-61 * time.Second)))), health: Unknown, http: OK,
			says: "stale"},
		{name: "timestamp to come", conf: from(plain(healthBody(at.Add(62 * time.Second)))), health: Unknown, http: OK,
			says: "stale"},
		{name: "10 MB", conf: from(plain(strings.Repeat(" ", 10<<20))), health: Unknown, http: OK,
			says: "larger than 1 MiB"},
		{name: "depth bomb", conf: from(plain(`{"status":` + strings.Repeat("[", 100_000))), health: Unknown, http: OK,
			says: "nested deeper"},
		{name: "redirect to metadata", conf: from(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest?token=secret", http.StatusFound)
		}), health: Unknown, http: Unknown,
			says: `302 Found: redirect to "http://169.254.169.254/latest" not followed`},
		{name: "not HTTP", conf: raw("http",
			func(c net.Conn) { c.Read(make([]byte, 9999)); fmt.Fprint(c, "SSH-2.0-OpenSSH\r\n\r\n") }), health: Unknown,
			http: Unknown, says: "malformed HTTP"},

		{name: "refused", conf: func(t *testing.T) config.HTTPClient {
			return config.HTTPClient{URL: "http://" + refusingAddress(t)}
		}, health: Bad, http: Bad, says: "connection refused"},
		{name: "no answer", conf: from(hang), health: Bad, http: Bad, says: "timeout, waiting for the answer"},
		{name: "slow loris", conf: from(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{")
			w.(http.Flusher).Flush()
			hang(w, r)
		}), health: Bad, http: Bad, says: "timeout, reading the body"},
		{name: "silent handshake", conf: raw("https", until), health: Bad, http: Bad,
			says: "timeout, in the TLS handshake"},
		{name: "closed at once", conf: from(func(w http.ResponseWriter, _ *http.Request) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			connection.Close()
		}), health: Bad, http: Bad, says: "connection closed"},
		{name: "half an answer", conf: from(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "{")
		}), health: Bad, http: Bad, says: "connection closed by the server, reading the body"},

		{name: "no such name", conf: url("http://nowhere.test./health"), resolver: fakeDNS(t, nil), health: Unknown,
			http: Unknown, says: "DNS lookup failed"},
		{name: "deaf DNS", conf: url("http://nowhere.test./health"), resolver: deafDNS(), health: Unknown,
			http: Unknown, says: "DNS lookup timed out"},
		{name: "unknown authority", conf: func(t *testing.T) config.HTTPClient {
			server := httptest.NewTLSServer(plain(healthBody(at)))
			server.Config.ErrorLog = nil
			t.Cleanup(server.Close)
			return config.HTTPClient{URL: server.URL}
		}, health: Unknown, http: Unknown, says: "invalid certificate"},
		{name: "other name in certificate", conf: func(t *testing.T) config.HTTPClient {
			conf := serveTLS(t, plain(healthBody(at)))
			conf.URL = strings.Replace(conf.URL, "127.0.0.1", "localhost", 1)
			return conf
		}, health: Unknown, http: Unknown, says: "invalid certificate"},
		{name: "known authority", conf: func(t *testing.T) config.HTTPClient {
			return serveTLS(t, plain(healthBody(at)))
		}, health: OK, http: OK, says: "healthy"},
		{name: "no TLS there", conf: raw("https",
			func(c net.Conn) { c.Read(make([]byte, 9999)); fmt.Fprint(c, "hello hello hello") }), health: Unknown,
			http: Unknown, says: "does not speak TLS"},
		{name: "closed in the handshake", conf: raw("https", func(c net.Conn) { c.Read(make([]byte, 9999)) }),
			health: Unknown, http: Unknown, says: "in the TLS handshake"},

		{name: "metadata", conf: url("http://169.254.169.254/health"), health: Unknown, http: Unknown,
			says: "link-local"},
		{name: "metadata in IPv6 clothes", conf: url("http://[::ffff:a9fe:a9fe]/health"), health: Unknown,
			http: Unknown, says: "link-local"},
		{name: "unspecified", conf: url("http://0.0.0.0:1/health"), health: Unknown, http: Unknown,
			says: "unspecified"},
		{name: "name of metadata", conf: url("http://rebind.test./health"),
			resolver: fakeDNS(t, map[string]net.IP{"rebind.test": net.IPv4(169, 254, 169, 254)}), health: Unknown,
			http: Unknown, says: "link-local"},
		{name: "no token file", conf: func(t *testing.T) config.HTTPClient {
			return config.HTTPClient{URL: "http://127.0.0.1:1/", BearerTokenFile: filepath.Join(t.TempDir(), "none")}
		}, health: Unknown, http: Unknown, says: "bearer_token_file"},
		{name: "no CA file", conf: func(t *testing.T) config.HTTPClient {
			return config.HTTPClient{URL: "https://127.0.0.1:1/", CAFile: filepath.Join(t.TempDir(), "none")}
		}, health: Unknown, http: Unknown, says: "ca_file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conf, patience := row.conf(t), time.Minute
			if strings.HasPrefix(row.says, "timeout") || row.name == "deaf DNS" {
				patience = 100 * time.Millisecond
			}
			health, err := NewHealth(config.HealthProbe{HTTPClient: conf}, row.resolver)
			if err != nil {
				t.Fatal(err)
			}
			state, detail := lookOnce(t, health, at, patience)
			if state != row.health || !strings.Contains(detail, row.says) {
				t.Errorf("health: got %s %q, want %s and %q", state, detail, row.health, row.says)
			}
			plain, err := NewHTTP(config.HTTPProbe{HTTPClient: conf}, row.resolver)
			if err != nil {
				t.Fatal(err)
			}
			if state, detail := lookOnce(t, plain, at, patience); state != row.http {
				t.Errorf("http: got %s %q, want %s", state, detail, row.http)
			}
			for kind, make := range map[string]func() (Probe, error){
				"sla": func() (Probe, error) { return NewSLA(config.SLAProbe{HTTPClient: conf}, row.resolver) },
				"agents": func() (Probe, error) {
					return NewAgents(config.AgentsProbe{HTTPClient: conf},
						row.resolver)
				},
			} {
				probe, err := make()
				if err != nil {
					t.Fatal(err)
				}
				// A health document is no document of theirs, but what stands
				// before the document means the same to all three.
				want := row.health
				if row.http == OK {
					want = Unknown
				}
				if state, detail := lookOnce(t, probe, at, patience); state != want {
					t.Errorf("%s: got %s %q, want %s", kind, state, detail, want)
				}
			}
		})
	}
}

func lookOnce(t *testing.T, probe Probe, at time.Time, patience time.Duration) (State, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := probe(ctx, at)
	if err != nil {
		if result.State != Unknown {
			t.Errorf("an error comes with state %s, want unknown", result.State)
		}
		return Unknown, err.Error()
	}
	return result.State, result.Detail
}

// TestAnExpiredCertificateIsBad_X11: users cannot come in, whatever the service behind it does.
func TestAnExpiredCertificateIsBad_X11(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name        string
		from, until time.Time
		want        State
	}{
		{"valid", now.Add(-time.Hour), now.Add(time.Hour), OK},
		{"expired", now.Add(-2 * time.Hour), now.Add(-time.Hour), Bad},
		{"not yet valid", now.Add(time.Hour), now.Add(2 * time.Hour), Bad},
	} {
		t.Run(row.name, func(t *testing.T) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: row.from, NotAfter: row.until,
				IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
			der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
			server.StartTLS()
			defer server.Close()
			file := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
				0o600); err != nil {
				t.Fatal(err)
			}
			probe, err := NewHTTP(config.HTTPProbe{HTTPClient: config.HTTPClient{URL: server.URL, CAFile: file}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			result, err := probe(t.Context(), now)
			if err != nil || result.State != row.want {
				t.Errorf("%s (%s), %v", result.State, result.Detail, err)
			}
			if row.want == Bad && !strings.Contains(result.Detail, "certificate has expired or is not yet valid") {
				t.Error(result.Detail)
			}
		})
	}
}

// serveTLS serves with a certificate for 127.0.0.1 and example.com only.
func serveTLS(t *testing.T, handler http.HandlerFunc) config.HTTPClient {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, certificatePEM(server), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.HTTPClient{URL: server.URL, CAFile: file}
}

func certificatePEM(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func TestTCPMeansWhatTheTableSays(t *testing.T) {
	for _, row := range []struct {
		name     string
		address  string
		resolver *net.Resolver
		want     State
	}{
		{"connected", listen(t, until), nil, OK},
		{"refused", refusingAddress(t), nil, Bad},
		{"no such name", "nowhere.test.:80", fakeDNS(t, nil), Unknown},
		{"deaf DNS", "nowhere.test.:80", deafDNS(), Unknown},
		{"metadata", "169.254.169.254:80", nil, Unknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			probe, err := NewTCP(config.TCPProbe{Address: row.address}, row.resolver)
			if err != nil {
				t.Fatal(err)
			}
			patience := time.Minute
			if row.name == "deaf DNS" {
				patience = 100 * time.Millisecond
			}
			if state, detail := lookOnce(t, probe, time.Now(), patience); state != row.want {
				t.Errorf("got %s %q, want %s", state, detail, row.want)
			}
		})
	}
}

func TestAnInterruptedLookSaysNothing(t *testing.T) {
	conf := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	probe, err := NewHealth(config.HealthProbe{HTTPClient: conf}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result, err := probe(ctx, time.Now()); err == nil {
		t.Errorf("got %v, want an error", result)
	}
}
