package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/ingest"
)

// serveIn is the folder of the journal for a process that is the real webhook: this
// test binary, started once more. Its listener is file 3, which outlives it.
const serveIn = "WATCHDOG_TEST_SERVE_IN"

func TestMain(m *testing.M) {
	dir := os.Getenv(serveIn)
	if dir == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, "webhook:", serveWebhook(dir))
	os.Exit(1)
}

// serveWebhook is the real handler behind the real server, over the real journal.
// It ends by being killed.
func serveWebhook(dir string) error {
	logger, reg := slog.New(slog.NewTextHandler(os.Stderr,
		&slog.HandlerOptions{Level: slog.LevelWarn})), prometheus.NewRegistry()
	intake, err := ingest.Open(ingest.Options{Dir: filepath.Join(dir, "hints"), Logger: logger, Registerer: reg,
		Changed: func([]ingest.AlertState) {}})
	if err != nil {
		return err
	}
	go func() { _ = intake.Run(context.Background()) }()
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	token := []Sender{{Name: "am", TokenFile: filepath.Join(dir, "token")}}
	hook := Alertmanager(AlertmanagerOptions{Logger: logger, Registerer: reg, Accept: intake.Accept,
		Senders: func() []Sender { return token }})
	return serveOn(context.Background(), Options{Logger: logger, Gatherer: reg, Alertmanager: hook, Profiling: true}, l,
		"")
}

// served is a process that serves a webhook, which can be killed and started again
// without its address becoming another's.
type served struct {
	t       testing.TB
	dir     string
	address string
	l       net.Listener
	file    *os.File // of l
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
	maxRSS  float64       // MiB, of all processes so far
}

func serving(t testing.TB) *served {
	t.Helper()
	s := &served{t: t, dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.l, s.address = l, l.Addr().String()
	if s.file, err = l.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "token"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() {
		s.kill()
		_ = s.l.Close()
		_ = s.file.Close()
	})
	return s
}

func (s *served) start() {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	// Memory is collected as in a container of the chart, which has 256 MiB.
	cmd.Env = append(os.Environ(), serveIn+"="+s.dir, "GOGC=50", fmt.Sprint("GOMEMLIMIT=", 256<<20*9/10))
	cmd.ExtraFiles = []*os.File{s.file}
	s.run(cmd)
}

func (s *served) run(cmd *exec.Cmd) {
	s.t.Helper()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
}

// kill is kill -9.
func (s *served) kill() {
	s.maxRSS = max(s.maxRSS, highWater(s.cmd.Process.Pid))
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// highWater is the most memory a process had resident, in MiB.
func highWater(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// flood posts alerts over many connections, one alert in each post and one post at
// a time on each connection. Each alert is told to fire and to be over in turn, and
// each time it fires it has begun a second later.
type flood struct {
	address string
	request func(a fake) []byte
	began   time.Time // of the first episode
	workers []*worker
	acked   atomic.Int64
	done    sync.WaitGroup

	mu    sync.Mutex
	ended bool
	conns map[net.Conn]bool // closed at the end, for nobody may be there to answer
}

// worker is one connection, and the alerts that are told over it only.
type worker struct {
	first     int
	sent      []int // per alert: how many steps of it were posted
	acked     []int // the last step that was answered with 2xx
	took      []time.Duration
	cut       int // posts that were not answered
	refused   int
	firstCode int // of the first refusal
}

// fake is one alert at one step of its story.
type fake struct {
	n     int
	step  int // 1, 3, 5 fire; 2, 4, 6 are over
	flood *flood
}

func (a fake) start() time.Time { return a.flood.began.Add(time.Duration((a.step-1)/2) * time.Second) }

func (a fake) labels() model.LabelSet {
	return model.LabelSet{
		"alertname": "HighErrorRate", "n": model.LabelValue(strconv.Itoa(a.n)), "namespace": "shop",
		"deployment": model.LabelValue("cart-" + strconv.Itoa(a.n%100)),
		"pod": model.LabelValue(fmt.Sprintf("cart-%d-6d5f7c9b8-x%04d", a.n%100,
			a.n)), "severity": "critical", "cluster": "eu-1",
	}
}

// alert is what Alertmanager makes of it.
func (a fake) alert() string {
	status, end := "firing", "0001-01-01T00:00:00Z"
	if a.step%2 == 0 {
		status, end = "resolved", a.start().Add(time.Second).Format(time.RFC3339Nano)
	}
	l := a.labels()
	return fmt.Sprintf(`{"status":%q,"labels":{"alertname":%q,"n":%q,"namespace":%q,"deployment":%q,"pod":%q,`+
		`"severity":%q,"cluster":%q},"annotations":{"summary":"31%% of the requests to cart fail",`+
		`"runbook":"https://runbooks.example/cart"},"startsAt":%q,"endsAt":%q,`+
		`"generatorURL":"http://prometheus.monitoring:9090/`+
		`graph?g0.expr=rate%%28http_requests_total%%5B5m%%5D%%29+%%3E+0.3&g0.tab=1","fingerprint":%q}`,
		status, l["alertname"], l["n"], l["namespace"], l["deployment"], l["pod"], l["severity"], l["cluster"],
		a.start().Format(time.RFC3339Nano), end, fmt.Sprintf("%016x", a.n))
}

// toWatchdog is a post of Alertmanager with one alert, or with several.
func toWatchdog(all ...fake) []byte {
	alerts := make([]string, len(all))
	for i, a := range all {
		alerts[i] = a.alert()
	}
	return posted(AlertmanagerPath, `{"receiver":"watchdog","status":"firing","alerts":[`+strings.Join(alerts,
		",")+`],"groupLabels":{"alertname":"HighErrorRate"},"commonLabels":{"alertname":"HighErrorRate",`+
		`"namespace":"shop"},"commonAnnotations":{},"externalURL":"http://alertmanager:9093","version":"4",`+
		`"groupKey":"{}:{alertname=\"HighErrorRate\"}","truncatedAlerts":0}`)
}

func posted(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Type: "+
		"application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// startFlood begins to post n alerts from number first on over some connections,
// each again and again.
func startFlood(address string, connections, first, n int, request func(fake) []byte) *flood {
	f := &flood{address: address, request: request, began: time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second),
		conns: map[net.Conn]bool{}}
	each := n / connections
	for c := range connections {
		w := &worker{first: first + c*each, sent: make([]int, each), acked: make([]int, each)}
		f.workers = append(f.workers, w)
		f.done.Go(func() { f.work(w) })
	}
	return f
}

func (f *flood) work(w *worker) {
	for next := 0; ; {
		conn, err := net.Dial("tcp", f.address)
		if err != nil || !f.keep(conn) {
			return
		}
		in := bufio.NewReader(conn)
		for err == nil {
			err = f.post(w, next, conn, in)
			next = (next + 1) % len(w.sent)
		}
		f.drop(conn)
	}
}

// keep notes a connection, unless the flood has ended.
func (f *flood) keep(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		_ = conn.Close()
		return false
	}
	f.conns[conn] = true
	return true
}

func (f *flood) drop(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
	_ = conn.Close()
}

// post tells the next step of one alert. An error is one of the connection.
func (f *flood) post(w *worker, n int, conn net.Conn, in *bufio.Reader) error {
	w.sent[n]++
	began := time.Now()
	code, err := exchange(conn, in, f.request(fake{w.first + n, w.sent[n], f}))
	switch {
	case err != nil:
		w.cut++
		return err
	case code != http.StatusOK:
		w.firstCode = max(w.firstCode, code)
		w.refused++
	default:
		w.took = append(w.took, time.Since(began))
		w.acked[n] = w.sent[n]
		f.acked.Add(1)
	}
	return nil
}

func exchange(conn net.Conn, in *bufio.Reader, request []byte) (code int, err error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// lost compares what the journal in dir holds with what was answered 2xx: of each
// alert it must be that step, or a later one that was posted and not answered.
func (f *flood) lost(t testing.TB, dir string) int {
	t.Helper()
	intake, err := ingest.Open(ingest.Options{Dir: filepath.Join(dir, "hints"), Logger: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	defer intake.Close()
	fires := map[ingest.Key]time.Time{}
	for _, h := range intake.Store().Firing() {
		fires[h.Key()] = h.StartsAt
	}
	lost := 0
	for _, w := range f.workers {
		for n := range w.acked {
			if w.acked[n] > 0 && !f.found(intake.Store(), fires, w.first+n, w.acked[n], w.sent[n]) {
				if lost++; lost <= 5 {
					t.Logf("alert %d was accepted up to step %d of %d, and is not so in the journal", w.first+n,
						w.acked[n], w.sent[n])
				}
			}
		}
	}
	return lost
}

func (f *flood) found(b *ingest.Store, fires map[ingest.Key]time.Time, n, from, to int) bool {
	key := ingest.Alert{Labels: fake{n: n}.labels()}.Key()
	state, _ := b.State(key)
	for step := from; step <= to; step++ {
		switch {
		case step%2 == 0 && state == ingest.Resolved:
			return true
		case step%2 == 1 && state == ingest.Firing && fires[key].Equal(fake{n, step, f}.start()):
			return true
		}
	}
	return false
}

// end stops the flood, in the middle of what is under way.
func (f *flood) end() (took []time.Duration, cut, refused, code int) {
	f.mu.Lock()
	f.ended = true
	for conn := range f.conns {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
	for _, w := range f.workers {
		took = append(took, w.took...)
		cut, refused, code = cut+w.cut, refused+w.refused, max(code, w.firstCode)
	}
	return took, cut, refused, code
}

// TestNothingThatWasAcceptedIsLostToAKill_INV51 kills a process in the middle of a
// flood, again and again.
func TestNothingThatWasAcceptedIsLostToAKill_INV51(t *testing.T) {
	const connections, kills, between = 32, 10, 500
	s := serving(t)
	f := startFlood(s.address, connections, 0, 960, func(a fake) []byte { return toWatchdog(a) })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := range kills {
		for f.acked.Load() < int64((n+1)*between) {
			select {
			case <-s.ended:
				t.Fatalf("the process ended by itself when %d posts were accepted", f.acked.Load())
			case <-tick.C:
			}
		}
		s.kill()
		if n < kills-1 {
			s.start()
		}
	}
	took, cut, refused, code := f.end()
	if len(took) < kills*between || cut < kills || refused > 0 {
		t.Errorf("%d posts were accepted, %d not answered, %d refused (%d)", len(took), cut, refused, code)
	}
	if lost := f.lost(t, s.dir); lost > 0 {
		t.Errorf("%d alerts that were accepted are lost", lost)
	}
	t.Logf("%d posts accepted, %d cut off by %d kills", len(took), cut, kills)
}
