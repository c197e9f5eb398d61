package probes

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

func TestHTTPIsJudgedByWhatItsBodySays(t *testing.T) {
	is := func(path, value string) config.JSONExpectation {
		return config.JSONExpectation{Path: path, Equals: &value}
	}
	matches := func(path, pattern string) config.JSONExpectation {
		return config.JSONExpectation{Path: path, Matches: pattern}
	}
	const body = `{"status":"ok","count":1500000,"big":12345678901,"half":0.5,"up":true,"note":null,"empty":"",
		"nodes":[{"name":"a","up":true},{"name":"b","up":true}],"map":{"k":["v"]}}`
	for _, row := range []struct {
		name     string
		body     string
		expected []config.JSONExpectation
		want     State
		says     string
	}{
		{"text", body, []config.JSONExpectation{is("{.status}", "ok")}, OK, "status 200"},
		{"another text", body, []config.JSONExpectation{is("{.status}", "down")}, Bad, `{.status} is "ok", not "down"`},
		{"numbers", body, []config.JSONExpectation{is("{.count}", "1500000"), is("{.big}", "12345678901"),
			is("{.half}", "0.5")}, OK, ""},
		{"true and null", body, []config.JSONExpectation{is("{.up}", "true"), is("{.note}", "null"),
			is("{.empty}", "")}, OK, ""},
		{"an object", body, []config.JSONExpectation{is("{.map}", `{"k":["v"]}`)}, OK, ""},
		{"all of a list", body, []config.JSONExpectation{is("{.nodes[*].up}", "true")}, OK, ""},
		{"one of a list differs", body, []config.JSONExpectation{is("{.nodes[*].name}", "a")}, Bad, `is "b", not "a"`},
		{"one by a filter", body, []config.JSONExpectation{is(`{.nodes[?(@.name=="b")].up}`, "true")}, OK, ""},
		{"a pattern", body, []config.JSONExpectation{matches("{.status}", "o.")}, OK, ""},
		{"a pattern for the whole value", body, []config.JSONExpectation{matches("{.status}", "o")}, Bad,
			`{.status} is "ok", which does not match o`},
		{"the second differs", body, []config.JSONExpectation{is("{.status}", "ok"), is("{.up}", "false")}, Bad,
			`{.up} is "true", not "false"`},
		{"nothing there", body, []config.JSONExpectation{is("{.state}", "ok")}, Unknown, "has nothing at {.state}"},
		{"no such element", body, []config.JSONExpectation{is("{.nodes[7].name}", "a")}, Unknown,
			"has nothing at {.nodes[7].name}"},
		{"a filter finds nothing", body, []config.JSONExpectation{is(`{.nodes[?(@.name=="z")].up}`, "true")}, Unknown,
			"has nothing at"},
		{"another shape", `["ok"]`, []config.JSONExpectation{is("{.status}", "ok")}, Unknown, "has nothing at"},
		{"HTML", "<p>ok", []config.JSONExpectation{is("{.status}", "ok")}, Unknown, "body is not JSON"},
		{"half a document", body[:20], []config.JSONExpectation{is("{.status}", "ok")}, Unknown, "body is not JSON"},
		{"empty", "", []config.JSONExpectation{is("{.status}", "ok")}, Unknown, "body is not JSON"},
		{"2 MiB", `{"status":"` + strings.Repeat("x", 2<<20) + `"}`, []config.JSONExpectation{is("{.status}", "ok")},
			Unknown, "body larger than 1 MiB"},
		{"depth bomb", strings.Repeat("[", 100_000), []config.JSONExpectation{is("{..status}", "ok")}, Unknown,
			"nested deeper than 32"},
	} {
		t.Run(row.name, func(t *testing.T) {
			probe, err := NewHTTP(config.HTTPProbe{HTTPClient: serve(t, respond(http.StatusOK, row.body)),
				JSON: row.expected}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if state, detail := lookOnce(t, probe, time.Now(), 10*time.Second); state != row.want ||
				!strings.Contains(detail, row.says) {
				t.Errorf("got %s %q, want %s and %q", state, detail, row.want, row.says)
			}
		})
	}
}

func TestTheStatusCountsBeforeTheBody(t *testing.T) {
	ok := "ok"
	probe, err := NewHTTP(config.HTTPProbe{HTTPClient: serve(t, respond(http.StatusServiceUnavailable, "<html>")),
		JSON: []config.JSONExpectation{{Path: "{.status}", Equals: &ok}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if state, detail := lookOnce(t, probe, time.Now(), 10*time.Second); state != Bad {
		t.Errorf("got %s %q", state, detail)
	}
}
