package promql

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestAPartialAnswerIsAnError_X13: VictoriaMetrics says beside the data that a part of it is missing.
func TestAPartialAnswerIsAnError_X13(t *testing.T) {
	const vector = `{"status":"success",%s"data":{"resultType":"vector","result":[{"metric":{"target":"a"%s},"value":[%d,"1"]}]}%s}`
	const matrix = `{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}`
	for _, tc := range []struct {
		name, before, labels, after string
		partial                     bool
	}{
		{name: "nothing is said"},
		{name: "whole", before: `"isPartial":false,`},
		{name: "partial", before: `"isPartial":true,`, partial: true},
		{name: "partial, said behind the data, with a space", after: `, "isPartial" : true`, partial: true},
		{name: "partial, as a text", before: `"isPartial":"true",`, partial: true},
		{name: "a label has that name", labels: `,"isPartial":"true"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, vector, tc.before, tc.labels, start.Unix(), tc.after)
			}))
			defer srv.Close()
			points, err := remoteOf(t, RemoteOptions{URL: srv.URL})(context.Background(), "up", start)
			if errors.Is(err, ErrPartial) != tc.partial || errors.Is(err, ErrSource) || err == nil && len(points) != 1 {
				t.Errorf("%v, %v", points, err)
			}
		})
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, matrix) }))
	defer srv.Close()
	ask, err := NewRemoteRange(RemoteOptions{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(context.Background(), "up", start, start.Add(time.Minute), time.Minute); !errors.Is(err,
		ErrPartial) {
		t.Errorf("a range: %v", err)
	}
}
