package probes

import (
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

func TestTLSMeansWhatTheTableSays(t *testing.T) {
	day := 24 * time.Hour
	good, goodCA := certified(t, time.Now().Add(30*day))
	other, otherCA := certified(t, time.Now().Add(30*day), "other.example")
	old, oldCA := certified(t, time.Now().Add(-2*day))
	early, earlyCA := certified(t, time.Now().Add(200*day))
	for _, row := range []struct {
		name     string
		conf     config.TLSProbe
		handle   func(net.Conn)
		resolver *net.Resolver
		want     State
		says     string
		days     float64 // 0: no samples
		verified float64
	}{
		{name: "good", conf: config.TLSProbe{CAFile: goodCA}, handle: secured(good, until), want: OK,
			says: "certificate valid for 30.0 days", days: 30, verified: 1},
		{name: "good by another name", conf: config.TLSProbe{CAFile: otherCA, ServerName: "other.example"},
			handle: secured(other, until), want: OK, says: "certificate valid", days: 30, verified: 1},
		{name: "of another name", conf: config.TLSProbe{CAFile: otherCA}, handle: secured(other, until), want: Bad,
			says: "x509: cannot validate certificate for 127.0.0.1", days: 30},
		{name: "expired", conf: config.TLSProbe{CAFile: oldCA}, handle: secured(old, until), want: Bad,
			says: "certificate has expired or is not yet valid", days: -2},
		{name: "not yet valid", conf: config.TLSProbe{CAFile: earlyCA}, handle: secured(early, until), want: Bad,
			says: "certificate has expired or is not yet valid", days: 200},
		{name: "of an unknown authority", conf: config.TLSProbe{CAFile: oldCA}, handle: secured(good, until),
			want: Unknown, says: "invalid certificate", days: 30},
		{name: "no TLS", handle: says("220 smtp.example ESMTP\r\n"), want: Unknown, says: "does not speak TLS"},
		{name: "hangs", handle: until, want: Bad, says: "timeout, in the TLS handshake"},
		{name: "hangs after half an answer", handle: says("\x16\x03\x03\x40\x00\x02"), want: Bad,
			says: "timeout, in the TLS handshake"},
		{name: "closes", handle: func(c net.Conn) { c.Read(make([]byte, 9999)) }, want: Unknown,
			says: "in the TLS handshake"},
		{name: "refused", conf: config.TLSProbe{Address: refusingAddress(t)}, want: Bad, says: "connection refused"},
		{name: "no such name", conf: config.TLSProbe{Address: "nowhere.test.:443"}, resolver: fakeDNS(t, nil),
			want: Unknown, says: "DNS lookup failed"},
		{name: "metadata", conf: config.TLSProbe{Address: "169.254.169.254:443"}, want: Unknown, says: "link-local"},
		{name: "no CA file", conf: config.TLSProbe{Address: refusingAddress(t), CAFile: "none"}, want: Unknown,
			says: "ca_file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.handle != nil {
				row.conf.Address = listen(t, row.handle)
			}
			probe, err := NewTLS(row.conf, row.resolver)
			if err != nil {
				t.Fatal(err)
			}
			patience := 10 * time.Second
			if strings.Contains(row.says, "timeout") {
				patience = time.Second
				t.Parallel() // each waits
			}
			if state, detail := lookOnce(t, probe, time.Now(), patience); state != row.want ||
				!strings.Contains(detail, row.says) {
				t.Errorf("got %s %q, want %s and %q", state, detail, row.want, row.says)
			}
			if row.days == 0 {
				return
			}
			r, _ := probe(t.Context(), time.Now())
			got := values(r.Samples)
			if math.Abs(got["watchdog_tls_expiry_seconds"]/86400-row.days) > 0.1 ||
				got["watchdog_tls_verified"] != row.verified || got["probe_ssl_earliest_cert_expiry"] == 0 {
				t.Errorf("got %v, want %v days and %v", got, row.days, row.verified)
			}
		})
	}
}

// TestTheCertificateThatExpiresFirstCounts: of those that the server sends.
func TestTheCertificateThatExpiresFirstCounts(t *testing.T) {
	soon, _ := certified(t, time.Now().Add(24*time.Hour))
	served, ca := certified(t, time.Now().Add(30*24*time.Hour))
	served.Certificates[0].Certificate = append(served.Certificates[0].Certificate, soon.Certificates[0].Certificate[0])
	probe, err := NewTLS(config.TLSProbe{Address: listen(t, secured(served, until)), CAFile: ca}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := probe(t.Context(), time.Now())
	if got := values(r.Samples)["watchdog_tls_expiry_seconds"] / 86400; err != nil || r.State != OK || math.Abs(got-1) > 0.1 {
		t.Errorf("got %s %q with %v days, %v", r.State, r.Detail, got, err)
	}
}
