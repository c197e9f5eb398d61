package web

import (
	"bytes"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The chart's replicas share one certificate, which does not hold their pods' addresses.
func TestReplicasReachEachOtherWithTheCertificateThatTheyShare_S23(t *testing.T) {
	dir := t.TempDir()
	leader := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer leader.Close()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	theirs := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leader.Certificate().Raw}))
	ask := func(webConfig string) error {
		t.Helper()
		transport := toReplicas(webConfig)
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, leader.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	config := put("web.yaml", "tls_server_config: { cert_file: tls.crt, key_file: tls.key }\n")
	for name, webConfig := range map[string]string{
		"no web configuration":            "",
		"one without TLS":                 put("users.yaml", "basic_auth_users: {}\n"),
		"a certificate that is not there": config,
	} {
		if err := ask(webConfig); err == nil {
			t.Errorf("%s: a certificate that nobody vouches for is trusted", name)
		}
	}
	put("tls.crt", theirs)
	if err := ask(config); err != nil {
		t.Errorf("the certificate that all have: %v", err)
	}
	inline := put("inline.yaml", "tls_server_config:\n  cert: |\n    "+strings.ReplaceAll(strings.TrimSpace(theirs),
		"\n", "\n    ")+"\n")
	if err := ask(inline); err != nil {
		t.Errorf("the certificate in the web configuration itself: %v", err)
	}
}

func TestThatTokensTravelInPlainHTTPIsLoggedOnce_S23(t *testing.T) {
	var log bytes.Buffer
	f := NewForward(slog.New(slog.NewTextHandler(&log, nil)), "", nil)
	for range 3 {
		f.Readable("http://10.0.0.7:9095")
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "web.tls") ||
		!strings.Contains(log.String(), "leader=http://10.0.0.7:9095") {
		t.Errorf("logged %d lines:\n%s", n, log.String())
	}
}
