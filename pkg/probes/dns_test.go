package probes

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

// record is the data of one answer.
type record struct {
	kind uint16
	data string
}

// wire is a name as DNS writes it.
func wire(name string) string {
	text := ""
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		text += string(rune(len(label))) + label
	}
	return text + "\x00"
}

// nameServer answers every question over UDP with what answer returns, and over TCP likewise.
func nameServer(t *testing.T, answer func(question []byte, kind uint16, tcp bool) []byte) string {
	t.Helper()
	listener, socket := bothAt(t)
	done := make(chan struct{})
	kind := func(q []byte) uint16 {
		end := 12
		for q[end] != 0 {
			end += 1 + int(q[end])
		}
		return binary.BigEndian.Uint16(q[end+1:])
	}
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(b)
			if err != nil {
				return
			}
			if a := answer(b[:n], kind(b[:n]), false); a != nil {
				socket.WriteTo(a, from)
			}
		}
	}()
	handleEach(t, listener, func(c net.Conn) {
		b := make([]byte, 1500)
		if n, err := c.Read(b); err == nil && n > 14 {
			if a := answer(b[2:n], kind(b[2:n]), true); a != nil {
				c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
			}
		}
	})
	t.Cleanup(func() { socket.Close(); <-done })
	return listener.Addr().String()
}

// bothAt listens over TCP and UDP at one port, which is free for both.
func bothAt(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	var taken []net.Listener
	defer func() {
		for _, l := range taken {
			l.Close()
		}
	}()
	for range 100 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socket, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return listener, socket
		}
		taken = append(taken, listener)
	}
	t.Fatal("no port is free for both TCP and UDP")
	return nil, nil
}

// answering is a message with a code and records, of which those of another type are left out.
func answering(q []byte, kind uint16, code byte, records ...record) []byte {
	end := 12
	for q[end] != 0 {
		end += 1 + int(q[end])
	}
	a := append([]byte{}, q[:end+5]...)
	clear(a[6:12])
	a[2], a[3] = 0x81, 0x80|code
	for _, r := range records {
		if r.kind != kind && r.kind != 5 {
			continue
		}
		a[7]++
		a = append(a, 0xc0, 12)
		a = binary.BigEndian.AppendUint16(a, r.kind)
		a = append(a, 0, 1, 0, 0, 0, 60)
		a = binary.BigEndian.AppendUint16(a, uint16(len(r.data)))
		a = append(a, r.data...)
	}
	return a
}

func TestDNSMeansWhatTheTableSays(t *testing.T) {
	with := func(code byte, records ...record) func([]byte, uint16, bool) []byte {
		return func(q []byte, kind uint16, _ bool) []byte { return answering(q, kind, code, records...) }
	}
	v4, other := record{1, "\x0a\x01\x02\x03"}, record{1, "\x0a\x01\x02\x04"}
	many := make([]record, 200)
	for i := range many {
		many[i] = record{1, "\x0a\x01\x03" + string([]byte{byte(i)})}
	}
	for _, row := range []struct {
		name   string
		conf   config.DNSProbe
		answer func([]byte, uint16, bool) []byte
		want   State
		says   string
		rrs    float64
	}{
		{"A", config.DNSProbe{}, with(0, v4), OK, "10.1.2.3 in", 1},
		{"two addresses, one expected", config.DNSProbe{Expect: []string{"10.1.2.4"}}, with(0, v4, other), OK,
			"10.1.2.3, 10.1.2.4", 2},
		{"another address", config.DNSProbe{Expect: []string{"10.1.2.4"}}, with(0, v4), Bad,
			`"10.1.2.4" is not among the answers: 10.1.2.3`, 1},
		{"AAAA", config.DNSProbe{QueryType: "AAAA", Expect: []string{"2001:DB8:0::1"}},
			with(0, record{28, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01"}), OK, "2001:db8::1", 1},
		{"CNAME", config.DNSProbe{QueryType: "CNAME", Expect: []string{"WWW.example.net"}},
			func(q []byte, kind uint16, _ bool) []byte {
				a := answering(q, kind, 0, record{5, wire("www.example.net")})
				if kind != 1 {
					return a
				}
				a[7]++
				return append(a, "\x03www\x07example\x03net\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x01\x02\x03"...)
			}, OK, "www.example.net.", 1},
		{"SRV", config.DNSProbe{QueryType: "SRV", Expect: []string{"10 5 5432 db.example.net"}},
			with(0, record{33, "\x00\x0a\x00\x05\x15\x38" + wire("db.example.net")}), OK,
			"10 5 5432 db.example.net.", 1},
		{"TXT", config.DNSProbe{QueryType: "TXT", Expect: []string{"v=spf1 -all"}},
			with(0, record{16, "\x0bv=spf1 -all"}), OK, "v=spf1 -all", 1},
		{"no such name", config.DNSProbe{}, with(3), Bad, "no such name, or no record of this type", 0},
		{"no record of the type", config.DNSProbe{QueryType: "TXT"}, with(0), Bad, "no such name, or no record", 0},
		{"SERVFAIL", config.DNSProbe{}, with(2), Bad, "server misbehaving", 0},
		{"REFUSED", config.DNSProbe{}, with(5), Bad, "server misbehaving", 0},
		{"no answer", config.DNSProbe{}, func([]byte, uint16, bool) []byte { return nil }, Bad, "no answer in time", 0},
		{"garbage", config.DNSProbe{}, func([]byte, uint16, bool) []byte { return []byte("HTTP/1.1 400\r\n\r\n") },
			Bad, "no answer in time", 0},
		{"an answer to another question", config.DNSProbe{}, func(q []byte, kind uint16, _ bool) []byte {
			a := answering(q, kind, 0, v4)
			a[0]++
			return a
		}, Bad, "no answer in time", 0},
		{"too large for UDP", config.DNSProbe{}, func(q []byte, kind uint16, tcp bool) []byte {
			if tcp {
				return answering(q, kind, 0, many...)
			}
			a := answering(q, kind, 0)
			a[2] |= 2 // truncated
			return a
		}, OK, "10.1.3.0, 10.1.3.1, 10.1.3.10 and 197 more", 200},
		{"nobody there", config.DNSProbe{Server: "127.0.0.1:1"}, nil, Bad, "", 0},
		{"metadata", config.DNSProbe{Server: "169.254.169.254:53"}, nil, Unknown, "link-local", 0},
		{"a server without a name", config.DNSProbe{Server: "nowhere.test.:53"}, nil, Unknown, "DNS lookup failed", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.answer != nil {
				row.conf.Server = nameServer(t, row.answer)
			}
			if row.conf.QueryName = "shop.example.com."; row.conf.QueryType == "" {
				row.conf.QueryType = "A"
			}
			probe, err := NewDNS(row.conf, fakeDNS(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			patience := 10 * time.Second
			if strings.Contains(row.says, "time") {
				patience = time.Second
				t.Parallel() // each waits
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := probe(ctx, time.Now())
			detail := r.Detail
			if err != nil {
				detail = err.Error()
			}
			if r.State != row.want || !strings.Contains(detail, row.says) {
				t.Errorf("got %s %q, want %s and %q", r.State, detail, row.want, row.says)
			}
			got := values(r.Samples)
			if got["probe_dns_answer_rrs"] != row.rrs || (got["probe_dns_lookup_time_seconds"] > 0) != (row.rrs > 0) {
				t.Errorf("got %v, want %v answers", got, row.rrs)
			}
		})
	}
}

func TestWithoutAServerTheSystemsResolverIsAsked(t *testing.T) {
	probe, err := NewDNS(config.DNSProbe{QueryName: "shop.test.", QueryType: "A"},
		fakeDNS(t, map[string]net.IP{"shop.test": net.IPv4(10, 0, 0, 7)}))
	if err != nil {
		t.Fatal(err)
	}
	if state, detail := lookOnce(t, probe, time.Now(), 10*time.Second); state != OK ||
		!strings.HasPrefix(detail, "10.0.0.7 in") {
		t.Errorf("got %s %q", state, detail)
	}
}
