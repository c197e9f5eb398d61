//go:build integration

// Package promapi asks watchdog and a real Prometheus the same questions over the
// same samples, and compares what they answer.
package promapi

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
	"watchdog.io/watchdog/pkg/web"
)

// questions are asked of both; $end is the time of the last sample, $start an hour before.
var questions = []string{
	"query?query=up&time=$end", "query?query=sum(m)&time=$end", "query?query=m>4&time=$end", "query?query=1&time=$end",
	`query?query="text"&time=$end`, "query?query=m[1m]&time=$end",
	"query?query=rate(c[5m])&time=$end", "query?query=topk(2,m)&time=$end", "query?query=quantile(0.9,m)&time=$end",
	"query?query=nothing&time=$end", "query?query=absent(nothing)&time=$end",
	"query?query=m&time=$start", "query?query=m&time=0", "query?query=m+offset+10m&time=$end",
	"query?query=max_over_time(m[30m:1m])&time=$end", "query?query=m/on(target,pod)c&time=$end",
	"query?query=-m&time=$end", "query?query=m/0&time=$end", "query?query=0/0*m&time=$end",
	"query?query=label_replace(m,%22x%22,%22$1%22,%22pod%22,%22(.*)%22)&time=$end",
	"query_range?query=m&start=$start&end=$end&step=60",
	"query_range?query=sum+by(target)(rate(c[2m]))&start=$start&end=$end&step=1m",
	"query_range?query=m>5&start=$start&end=$end&step=30",
	"query_range?query=nothing&start=$start&end=$end&step=60", "query_range?query=1&start=$start&end=$end&step=600",
	"series?match[]=m&start=$start&end=$end",
	"series?match[]={target=%22x%22}&match[]=c&start=$start&end=$end",
	"series?match[]=nothing&start=$start&end=$end",
	"labels?start=$start&end=$end", "labels?match[]=m&start=$start&end=$end",
	"label/target/values?start=$start&end=$end",
	"label/__name__/values?start=$start&end=$end", "label/nothing/values?start=$start&end=$end",
	// What is wrong.
	"query?query=sum(", "query?query=", "query?query=m&time=yesterday", "query?query=m&timeout=soon",
	"query?query=m[5m]+1&time=$end", "query?query=m%20%2B%20on(target)%20c&time=$end",
	"query_range?query=m&start=$end&end=$start&step=60",
	"query_range?query=m&start=$start&end=$end&step=0",
	"query_range?query=m&start=$start&end=$end&step=-1", "query_range?query=m&start=$start&end=$end&step=0.1",
	"query_range?query=m&start=$start&end=$end",
	"query_range?query=m&end=$end&step=60", "query_range?query=m[5m]&start=$start&end=$end&step=60",
	"series", "series?match[]={}", "series?match[]=m{", "labels?match[]=m{", "label/target/values?match[]={}",
}

func TestTheAPIAnswersAsPrometheusDoes(t *testing.T) {
	end := time.Now().Add(-3 * time.Hour).Truncate(time.Hour)
	samples := history(end)
	_, blocks := recorded(t, samples)
	theirs := serve(t, blocks)
	ours := ours(t, samples)
	differences := 0
	for _, q := range questions {
		q = strings.NewReplacer("$end", fmt.Sprint(end.Unix()),
			"$start", fmt.Sprint(end.Add(-time.Hour).Unix())).Replace(q)
		wantStatus, want := ask(t, theirs, q)
		gotStatus, got := ask(t, ours, q)
		if d := cmp.Diff(want, got); d != "" || wantStatus != gotStatus {
			differences++
			t.Errorf("%s: status %d, Prometheus' %d (-Prometheus +watchdog)\n%s", q, gotStatus, wantStatus, d)
		}
	}
	t.Logf("%d questions, %d differences", len(questions), differences)
}

// history is an hour of a gauge m and a counter c of three targets with two pods each.
func history(end time.Time) []*model.Sample {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []*model.Sample
	for _, target := range []string{"x", "y", "z"} {
		for _, pod := range []string{"a", "b"} {
			c := 0.0
			for at := end.Add(-time.Hour); !at.After(end); at = at.Add(15 * time.Second) {
				c += float64(rnd.IntN(5))
				for name, v := range map[string]float64{"m": float64(rnd.IntN(80)) / 10, "c": c, "up": 1} {
					all = append(all, &model.Sample{Metric: model.Metric{"__name__": model.LabelValue(name),
						"target": model.LabelValue(target), "pod": model.LabelValue(pod)}, Value: model.SampleValue(v),
						Timestamp: model.TimeFromUnix(at.Unix())})
				}
			}
		}
	}
	return all
}

func ours(t *testing.T, samples []*model.Sample) string {
	t.Helper()
	store := storage.New(storage.Options{Retention: 24 * time.Hour})
	store.Append(samples)
	h := web.Handler(web.Options{Gatherer: prometheus.NewRegistry(),
		PromQL: &web.PromQL{Engine: promql.NewEngine(promql.LocalOptions{}), Queryable: store,
			Parser: promql.NewParser(), Now: time.Now}})
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// recorded writes the samples as OpenMetrics, and as blocks of a Prometheus.
func recorded(t *testing.T, samples []*model.Sample) (recording, blocks string) {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "history.om"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m", "c", "up"} {
		fmt.Fprintf(f, "# TYPE %s unknown\n", name)
		for _, s := range samples {
			if string(s.Metric["__name__"]) == name {
				fmt.Fprintf(f, "%s{target=%q,pod=%q} %v %d\n", name, s.Metric["target"], s.Metric["pod"],
					float64(s.Value), s.Timestamp.Unix())
			}
		}
	}
	fmt.Fprintln(f, "# EOF")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "tsdb", "create-blocks-from", "openmetrics", f.Name(),
		filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("promtool (run hack/need): %v\n%s", err, out)
	}
	return f.Name(), filepath.Join(dir, "data")
}

// serve starts a Prometheus over a folder of blocks and returns its URL.
func serve(t *testing.T, blocks string) string {
	t.Helper()
	dir := t.TempDir()
	addr := address(t)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte("global: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("../../bin/prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+blocks, "--web.listen-address="+addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ready(t, addr)
	return "http://" + addr
}

func ready(t *testing.T, addr string) {
	t.Helper()
	tick, late := time.NewTicker(100*time.Millisecond), time.NewTimer(30*time.Second)
	defer tick.Stop()
	defer late.Stop()
	for {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatal("Prometheus is not ready after 30s")
		}
	}
}

// address is one that nobody listens on.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask returns the answer without what may differ: the order of a vector, advice
// that newer versions give, and the words of an error.
func ask(t *testing.T, base, q string) (int, any) {
	t.Helper()
	path, params, _ := strings.Cut(q, "?")
	values, err := url.ParseQuery(params)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(base + "/api/v1/" + path + "?" + values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatalf("%s%s: %v: %s", base, q, err, body)
	}
	delete(doc, "infos")
	delete(doc, "warnings")
	if doc["status"] == "error" {
		delete(doc, "error") // the words differ from version to version; status and type do not
	}
	return resp.StatusCode, canonical(doc)
}

// canonical sorts the lists of series.
func canonical(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = canonical(x[k])
		}
	case []any:
		series := len(x) > 0
		for i := range x {
			_, is := x[i].(map[string]any)
			series = series && is
			x[i] = canonical(x[i])
		}
		if series {
			byText := map[string]any{}
			var keys []string
			for _, e := range x {
				b, _ := json.Marshal(e)
				byText[string(b)] = e
				keys = append(keys, string(b))
			}
			for i := range keys {
				for j := range i {
					if keys[i] < keys[j] {
						keys[i], keys[j] = keys[j], keys[i]
					}
				}
			}
			for i, k := range keys {
				x[i] = byText[k]
			}
		}
	}
	return v
}
