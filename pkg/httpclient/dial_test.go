package httpclient

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestForbiddenAddressesAreForbiddenInAnyNotation_S20(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "10.1.2.3": false, "192.168.1.1": false,
		"172.16.0.1": false,
		"fd00::1":    false, "8.8.8.8": false, "2001:4860::8888": false, "100.64.0.1": false, "64:ff9b::808:808": false,
		"64:ff9b:1::808:808": false, "2002:808:808::1": false, "fd00:ec2::253": false, "192.0.0.193": false,
		"240.0.0.1": false,

		"169.254.169.254": true, "169.254.0.1": true, "169.254.170.2": true, "::ffff:169.254.169.254": true,
		"64:ff9b::a9fe:a9fe":   true,
		"64:ff9b:1::a9fe:a9fe": true, "::ffff:0:a9fe:a9fe": true, "2002:a9fe:a9fe::1": true, "::a9fe:a9fe": true,
		"fe80::1":      true,
		"fe80::1%eth0": true, "febf::1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true, "::ffff:0.0.0.0": true,
		"224.0.0.1": true, "ff02::1": true, "255.255.255.255": true,

		"100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true, "fd00:ec2::254": true,
		"fd00:ec2::23": true,
		"fd20:ce::254": true, "fd00:c1::a9fe:a9fe": true, "fd00:42::42": true,
		"64:ff9b::6464:64c8": true, "::ffff:168.63.129.16": true, "2002:c000:c0::": true,
	} {
		if got := forbidden(netip.MustParseAddr(address)); (got != "") != want {
			t.Errorf("%s: forbidden %q, want %v", address, got, want)
		}
	}
}

func TestARefusedConnectionSaysWhatWasDialedWhereItLeadsWhyAndWhatToDo_S20(t *testing.T) {
	_, err := Dialer{Resolver: namesLeadTo(t, "100.100.100.200")}.DialContext(t.Context(),
		"tcp", "prometheus.test.:9090")
	forbidden, ok := errors.AsType[*ForbiddenError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	const want = "refusing to connect to prometheus.test.:9090: 100.100.100.200 is a cloud metadata service " +
		"(Alibaba Cloud); configure the address of the service itself"
	if forbidden.Error() != want {
		t.Errorf("got  %s\nwant %s", forbidden, want)
	}
}

func TestANameThatLeadsElsewhereTheSecondTimeIsRefusedThen_S20(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := Dialer{Timeout: 5 * time.Second, Resolver: namesLeadTo(t, "127.0.0.1", "169.254.169.254")}
	c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("rebind.test.", port))
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	c.Close()
	if _, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("rebind.test.", port)); err == nil ||
		!strings.Contains(err.Error(), "link-local") {
		t.Errorf("got %v", err)
	}
}

func TestEveryClientRefusesMetadataAddresses_S20(t *testing.T) {
	for name, c := range map[string]*http.Client{"shared": New(nil, 5*time.Second),
		"own": New(NewTransport(Options{MaxConnsPerHost: 8}), 5*time.Second)} {
		_, err := c.Get("http://169.254.169.254/latest/meta-data/")
		if _, ok := errors.AsType[*ForbiddenError](err); !ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAClientDoesNotTakeItsTokenToAnotherHost_S20(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(other.Close)
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	resp, err := New(nil, 5*time.Second).Post(s.URL, "text/plain", strings.NewReader("token"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("got %s", resp.Status)
	}
}

// namesLeadTo resolves every name to one IPv4 address after the other, and then to the last.
func namesLeadTo(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(b)
			if err != nil {
				return
			}
			end := 12 + bytes.IndexByte(b[12:n], 0) + 5 // of the question: its name, type and class
			reply := append([]byte{}, b[:end]...)
			reply[2], reply[3] = 0x81, 0x80
			clear(reply[6:12])                  // no answer, authority or additional records
			if b[end-3] == 1 && b[end-4] == 0 { // an A record is wanted
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				reply = append(reply, netip.MustParseAddr(addresses[0]).AsSlice()...)
				addresses = addresses[min(1, len(addresses)-1):]
			}
			_, _ = socket.WriteTo(reply, from)
		}
	}()
	t.Cleanup(func() { socket.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}
