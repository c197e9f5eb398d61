package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	killEvery   = 10 * time.Second
	killings    = 6
	connections = 64
	// distinct alerts of the flood; a book holds 50,000 that fire.
	distinct = 40_000
	// atOnce is how many alerts the largest body may have.
	atOnce = 10_000
	// bodies is how often that body is posted, each time with other starts.
	bodies = 5
	// hostileSenders each post hostileBodies.
	hostileSenders, hostileBodies = 12, 4
)

// BenchmarkFlood is a flood of webhooks on a process with the real handler, server
// and journal, which is killed with SIGKILL every 10 s. In turn with it Alertmanager's
// own API takes the same alerts; nobody kills it, and it keeps nothing on disk. The
// flood and what it floods share the machine's cores.
//
//	go test -cpu 1 -run '^$' -bench Flood ./pkg/web
func BenchmarkFlood(b *testing.B) {
	body := map[string]float64{}
	b.Run("posts", func(b *testing.B) {
		for b.Loop() {
			s, am := serving(b), alertmanagerProcess(b)
			var ours, theirs turns
			var floods []*flood
			for n := range killings {
				if n > 0 {
					s.start()
				}
				f := startFlood(s.address, connections, n*distinct/killings, distinct/killings,
					func(a fake) []byte { return toWatchdog(a) })
				<-time.After(killEvery)
				s.kill()
				ours.add(b, f)
				floods = append(floods, f)
				f = startFlood(am.address, connections, n*distinct/killings, distinct/killings,
					func(a fake) []byte { return toAlertmanager(a) })
				<-time.After(killEvery)
				theirs.add(b, f)
			}
			lost := 0
			for _, f := range floods {
				lost += f.lost(b, s.dir)
			}
			rate := ours.report(b, "")
			b.ReportMetric(s.maxRSS, "max-MiB-RSS")
			b.ReportMetric(float64(ours.cut), "cut")
			b.ReportMetric(float64(lost), "lost")
			b.ReportMetric(rate/theirs.report(b, "alertmanager-"), "ratio")
			b.ReportMetric(highWater(am.cmd.Process.Pid), "alertmanager-max-MiB-RSS")
			b.ReportMetric(0, "ns/op")
		}
	})
	b.Run("body/watchdog", func(b *testing.B) {
		for b.Loop() {
			s := serving(b)
			body["watchdog"] = reportBodies(b, s.address, toWatchdog)
			b.ReportMetric(highWater(s.cmd.Process.Pid), "max-MiB-RSS")
		}
	})
	b.Run("hostile", func(b *testing.B) {
		for b.Loop() {
			s := serving(b)
			var senders sync.WaitGroup
			for n := range hostileSenders {
				senders.Go(func() { postHostile(s.address, n) })
			}
			senders.Wait()
			b.ReportMetric(highWater(s.cmd.Process.Pid), "max-MiB-RSS")
			b.ReportMetric(0, "ns/op")
		}
	})
	b.Run("body/alertmanager", func(b *testing.B) {
		for b.Loop() {
			am := alertmanagerProcess(b)
			body["alertmanager"] = reportBodies(b, am.address, toAlertmanager)
			b.ReportMetric(body["watchdog"]/body["alertmanager"], "ratio")
		}
	})
}

// turns are the floods of one of the two.
type turns struct {
	took []time.Duration
	cut  int
}

func (all *turns) add(b *testing.B, f *flood) {
	b.Helper()
	took, cut, refused, code := f.end()
	if len(took) == 0 || refused > 0 {
		b.Fatalf("%d posts were accepted, %d refused (%d)", len(took), refused, code)
	}
	all.took, all.cut = append(all.took, took...), all.cut+cut
}

// report says how many posts were accepted each second, and how long they took.
func (all *turns) report(b *testing.B, whose string) float64 {
	b.Helper()
	slices.Sort(all.took)
	rate := float64(len(all.took)) / (killings * killEvery).Seconds()
	b.ReportMetric(rate, whose+"POST/s")
	b.ReportMetric(milliseconds(all.took, 50), whose+"p50-ms")
	b.ReportMetric(milliseconds(all.took, 99), whose+"p99-ms")
	return rate
}

func milliseconds(sorted []time.Duration, percent int) float64 {
	return float64(sorted[(len(sorted)*percent+99)/100-1].Microseconds()) / 1000
}

// reportBodies posts many alerts in one body, some times, and says how long the
// slowest took.
func reportBodies(b *testing.B, address string, request func(...fake) []byte) float64 {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in, f := bufio.NewReader(conn), &flood{began: time.Now().Add(-time.Hour).UTC().Truncate(time.Second)}
	var took []time.Duration
	for n := range bodies {
		all := make([]fake, atOnce)
		for i := range all {
			all[i] = fake{i, 2*n + 1, f}
		}
		text := request(all...)
		began := time.Now()
		code, err := exchange(conn, in, text)
		took = append(took, time.Since(began))
		if err != nil || code != http.StatusOK {
			b.Fatalf("%d alerts in %d bytes: %d, %v", atOnce, len(text), code, err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(milliseconds(took, 50), "p50-ms")
	b.ReportMetric(milliseconds(took, 100), "max-ms")
	b.ReportMetric(0, "ns/op")
	return milliseconds(took, 50)
}

// postHostile posts bodies with as many labels as are taken, which cost the most
// memory for their size; most are refused, for there is no room for two.
func postHostile(address string, sender int) {
	for n := range hostileBodies {
		var body strings.Builder
		body.WriteString(`{"version":"4","alerts":[`)
		for i := range 7000 {
			fmt.Fprintf(&body, `{"status":"firing","startsAt":"2026-01-01T12:00:00Z","labels":{"n":"%d-%d-%d"`, sender,
				n, i)
			for l := range 63 {
				fmt.Fprintf(&body, `,"%c%c":""`, 'a'+l%26, 'a'+l/26)
			}
			body.WriteString("}},")
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		// A refusal closes the connection in the middle of the body.
		_, _ = exchange(conn, bufio.NewReader(conn), posted(AlertmanagerPath,
			strings.TrimSuffix(body.String(), ",")+"]}"))
		_ = conn.Close()
	}
}

// toAlertmanager posts the same alerts to the API that Prometheus posts to.
func toAlertmanager(all ...fake) []byte {
	alerts := make([]string, len(all))
	for i, a := range all {
		alerts[i] = strings.NewReplacer(`"status":"firing",`, "", `"status":"resolved",`, "",
			`"endsAt":"0001-01-01T00:00:00Z",`, "", fmt.Sprintf(`,"fingerprint":"%016x"`, a.n), "").Replace(a.alert())
	}
	return posted("/api/v2/alerts", "["+strings.Join(alerts, ",")+"]")
}

// alertmanagerProcess runs the real one (make bin/alertmanager), whose only receiver
// tells nobody.
func alertmanagerProcess(b *testing.B) *served {
	b.Helper()
	dir := b.TempDir()
	config := "route: { receiver: nobody, group_by: [alertname] }\nreceivers: [{ name: nobody }]\n"
	if err := os.WriteFile(filepath.Join(dir, "alertmanager.yml"), []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	program, err := filepath.Abs("../../bin/alertmanager")
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &served{t: b, dir: dir, address: l.Addr().String()}
	_ = l.Close()
	cmd := exec.Command(program, "--config.file=alertmanager.yml", "--storage.path="+dir,
		"--web.listen-address="+s.address, "--cluster.listen-address=", "--log.level=error")
	cmd.Dir = dir
	s.run(cmd)
	b.Cleanup(s.kill)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get("http://" + s.address + "/-/ready"); err == nil {
			resp.Body.Close()
			return s
		}
		select {
		case <-s.ended:
			b.Fatal("Alertmanager ended by itself")
		case <-tick.C:
		}
	}
}
