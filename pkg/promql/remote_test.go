package promql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/httpclient"
)

func remoteOf(t testing.TB, opts RemoteOptions) QueryFunc {
	t.Helper()
	q, err := NewRemote(opts)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// F-60…F-64: whatever a server answers but a whole vector is an error, and the
// error tells a server in trouble from an expression it does not like.
func TestAnswersThatAreNoWholeVectorAreErrors(t *testing.T) {
	vector := fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"target":"a"},`+
		`"value":[%d,"1"]}]}`, start.Unix())
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   string
		source bool
	}{
		{"status error with 200", 200, `{"status":"error","errorType":"internal","error":"boom"}`, "boom", true},
		{"a warning", 200, vector + `,"warnings":["store 3 unreachable"]}`, "partial: store 3", false},
		{"truncated", 200, vector[:60], "bad_response", true},
		{"a scalar", 200, fmt.Sprintf(`{"status":"success","data":{"resultType":"scalar","result":[%d,"1"]}}`,
			start.Unix()), "scalar", false},
		{"a matrix", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "matrix", false},
		{"no data at all", 200, `{"status":"success"}`, "none", false},
		{"an empty answer", 200, ``, "bad_response", true},
		{"an answer for another time", 200, strings.Replace(vector, strconv.FormatInt(start.Unix(), 10),
			"1700000000", 1) + `}`, "answered for 2023-11-14", true},
		{"a null sample", 200, `{"status":"success","data":{"resultType":"vector","result":[null]}}`, "empty sample",
			true},
		{"50 MB", 200, strings.Repeat(" ", 9<<20), "larger than 8 MiB", true},
		{"bad expression", 400, `{"status":"error","errorType":"bad_data","error":"parse error"}`,
			"bad_data: parse error", false},
		{"many to many", 422, `{"status":"error","errorType":"execution","error":"many-to-many"}`, "execution", false},
		{"unavailable", 503, `{"status":"error","errorType":"unavailable","error":"shutting down"}`, "503", true},
		{"bad gateway", 502, `<html>`, "502", true},
		{"redirect", 302, ``, "302", true},
		{"forbidden", 403, ``, "403", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer srv.Close()
			points, err := remoteOf(t, RemoteOptions{URL: srv.URL})(t.Context(), "x", start)
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(points) > 0 {
				t.Fatalf("got %v, %v, want an error with %q", points, err, tc.want)
			}
			if errors.Is(err, ErrSource) != tc.source {
				t.Errorf("is the source at fault: %t, want %t: %v", !tc.source, tc.source, err)
			}
		})
	}
}

func TestAResultThatIsNoVectorIsNamed(t *testing.T) {
	const want = "evaluate scalar(x): the result is a scalar, an instant vector with one value per target is needed"
	if got := WrongType(" scalar(x)", "scalar").Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASlowServerIsCutOff(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-stop
	}))
	defer srv.Close()
	defer close(stop)
	q := remoteOf(t, RemoteOptions{URL: srv.URL, Timeout: 50 * time.Millisecond})
	if _, err := q(t.Context(), "x", start); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrSource) {
		t.Errorf("got %v, want a deadline and ErrSource", err)
	}
}

func TestOfOneExpressionOneQueryIsInFlight(t *testing.T) {
	entered, stop := make(chan string, 4), make(chan struct{})
	var inFlight atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("query") == "x" && inFlight.Add(1) > 1 {
			t.Error("two queries of one expression in flight")
		}
		entered <- r.FormValue("query")
		<-stop
		if r.FormValue("query") == "x" {
			inFlight.Add(-1)
		}
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	defer srv.Close()
	q := remoteOf(t, RemoteOptions{URL: srv.URL})
	done := make(chan error, 3)
	for _, expr := range []string{"x", "x", "y"} {
		go func() { _, err := q(t.Context(), expr, start); done <- err }()
	}
	<-entered
	<-entered // x once and y: the second x waits
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q(ctx, "x", start); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with an ended context: %v", err)
	}
	close(stop)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTheTokenIsReadForEveryRequest(t *testing.T) {
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	q := remoteOf(t, RemoteOptions{URL: srv.URL, BearerTokenFile: file})
	if _, err := q(t.Context(), "x", start); err == nil {
		t.Error("without the file: no error")
	}
	for _, token := range []string{"one\n", "two\n"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := q(t.Context(), "x", start); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, ",") != "Bearer one,Bearer two" {
		t.Errorf("sent %q", got)
	}
}

func TestARemoteSourceThatCannotWorkDoesNotLoad(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []RemoteOptions{{}, {URL: "prometheus:9090"}, {URL: "ftp://x"}, {URL: "https://x", CAFile: junk},
		{URL: "https://x", CAFile: junk + "?"}} {
		if _, err := NewRemote(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestPrometheusIsNotAskedAtAMetadataService_S20(t *testing.T) {
	ca, _, _ := newCertificate(t, t.TempDir(), "ca")
	for name, o := range map[string]RemoteOptions{"plain": {}, "with a ca_file": {CAFile: ca}} {
		o.URL, o.Timeout = "http://169.254.169.254", 5*time.Second
		_, err := remoteOf(t, o)(t.Context(), "up", start)
		if _, ok := errors.AsType[*httpclient.ForbiddenError](err); !ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
