package probes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

func healthBody(at time.Time) string {
	return fmt.Sprintf(`{"status":"healthy","timestamp":%q,"version":"2.2.0","uptime":86400,
		"checks":{"database":"healthy","redis":"degraded","agents":"unhealthy","external_apis":"fine"}}`,
		at.Format(time.RFC3339))
}

func slaBody(at time.Time) string {
	return fmt.Sprintf(`{"timestamp":%q,"window_seconds":60,"requests":1200,"uptime_percent":99.98,
		"response_time_ms":{"p50":20,"p95":480,"p99":900},"error_rate_percent":0.02}`, at.Format(time.RFC3339))
}

const agentsBody = `{"agents":[{"id":"a","status":"active","last_seen":"2023-11-20T01:30:00Z"},
	{"id":"b","status":"stopped","last_seen":"2023-11-20T01:30:00Z"}],"active":1,"desired":2}`

// respond returns a handler with one fixed answer.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func serve(t testing.TB, handler http.HandlerFunc) config.HTTPClient {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return config.HTTPClient{URL: server.URL + "/health"}
}

// listen gives every connection to handle and closes it afterwards.
func listen(t testing.TB, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handleEach(t, listener, handle)
	return listener.Addr().String()
}

// handleEach handles one connection after the other until the test ends. Then it closes the one that is open: who
// connected may be another program, which had a server at this port before.
func handleEach(t testing.TB, listener net.Listener, handle func(net.Conn)) {
	var mu sync.Mutex
	var open net.Conn
	ended, done := false, make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = connection
			if ended {
				connection.Close()
			}
			mu.Unlock()
			handle(connection)
			connection.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		if ended = true; open != nil {
			open.Close()
		}
		mu.Unlock()
		<-done
	})
}

// until waits for the other side to close.
func until(connection net.Conn) {
	buffer := make([]byte, 4096)
	for {
		if _, err := connection.Read(buffer); err != nil {
			return
		}
	}
}

func refusingAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// fakeDNS answers A questions from a table and everything else with "no such name".
func fakeDNS(t testing.TB, names map[string]net.IP) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			socket.WriteTo(dnsReply(buffer[:n], names), from)
		}
	}()
	t.Cleanup(func() { socket.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

func dnsReply(question []byte, names map[string]net.IP) []byte {
	var name []string
	end := 12
	for question[end] != 0 {
		size := int(question[end])
		name = append(name, string(question[end+1:end+1+size]))
		end += 1 + size
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	end += 5
	reply := append([]byte{}, question[:end]...)
	clear(reply[6:12]) // no answer, authority or additional records
	ip, known := names[strings.Join(name, ".")]
	switch {
	case !known:
		reply[2], reply[3] = 0x81, 0x83
	case kind == 1:
		reply[2], reply[3], reply[7] = 0x81, 0x80, 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, ip.To4()...)
	default:
		reply[2], reply[3] = 0x81, 0x80
	}
	return reply
}

// deafDNS never answers.
func deafDNS() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, errors.New("no answer")
	}}
}

// values flattens samples for comparison.
func values(samples []*model.Sample) map[string]float64 {
	flat := map[string]float64{}
	for _, sample := range samples {
		flat[sample.Metric.String()] = float64(sample.Value)
	}
	return flat
}
